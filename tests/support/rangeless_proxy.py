"""An HTTP proxy on loopback that knows no ranges, as some caches before registries."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

_CHUNK = 1 << 16


@contextmanager
def rangeless_proxy(host: str) -> Iterator[str]:
    """``host:port`` of a proxy before ``host`` that answers every GET with the whole."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(host))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler_of(host: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Accept": self.headers.get("Accept", "*/*"), "Accept-Encoding": "identity"}
            url = f"http://{host}{self.path}"
            with requests.get(url, headers=headers, stream=True, timeout=10) as answer:
                self.send_response(answer.status_code)
                for name in ("Content-Type", "Content-Length", "Docker-Content-Digest"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                for chunk in answer.iter_content(_CHUNK):
                    self.wfile.write(chunk)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler
