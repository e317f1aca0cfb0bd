"""GET /metrics, in a thread of its own, so that a busy event loop cannot hide that it is busy."""

import socket
import threading
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing about scrapes."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SixServer(_Server):
    address_family = socket.AF_INET6


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """A running server."""

    server: WSGIServer
    thread: threading.Thread

    @property
    def port(self) -> int:
        """What it listens on."""
        return int(self.server.server_address[1])

    def close(self) -> None:
        """Stops it and waits for its thread."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> MetricsServer:
    """Starts the server. Raises OSError when the port is taken.

    Args:
        registry: what is shown.
        host: an address as gRPC takes it; `[::]` also means all IPv4 addresses.
        port: 0 takes any free one.
    """
    address = host.strip("[]")
    kind = _SixServer if ":" in address and socket.has_dualstack_ipv6() else _Server
    if kind is _Server and ":" in address:
        address = "0.0.0.0"  # noqa: S104  # the same as [::] on a host without IPv6
    server = make_server(address, port, make_wsgi_app(registry), kind, _Quiet)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    return MetricsServer(server, thread)
