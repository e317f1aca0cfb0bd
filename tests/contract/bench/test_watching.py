"""The bench's look at a cluster, against an API server that streams and never ends."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bench.cluster import watching
from kubernetes import client

EVENT = {"type": "ADDED", "object": {"kind": "Pod", "metadata": {"name": "demo-1"}}}


@pytest.fixture
def api() -> Iterator[client.CoreV1Api]:
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            line = json.dumps(EVENT).encode() + b"\n"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            over.wait(30)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    host = f"http://127.0.0.1:{server.server_address[1]}"
    yield client.CoreV1Api(client.ApiClient(client.Configuration(host=host)))
    over.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_leaving_a_watch_ends_its_thread_without_a_traceback(api: client.CoreV1Api) -> None:
    before = threading.active_count()
    with watching(api.list_namespaced_pod, "default", "") as events:
        assert events.get(timeout=10).item.metadata.name == "demo-1"
        assert threading.active_count() > before
    named = [t.name for t in threading.enumerate() if "follow" in t.name]
    assert named == []  # a traceback of the thread would be an error of this test
