"""A TCP proxy on loopback that cuts connections after some bytes, as bad networks do."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK = 4096


@dataclass
class CuttingProxy:
    """Passes bytes to ``target``; cuts the answers of connections while ``cuts`` are left.

    ``after`` counts the bytes of an answer that come through, ``cut`` how often it has happened.
    """

    target: tuple[str, int]
    after: int
    cuts: int
    cut: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Accepts until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.target) as server:
            upward = threading.Thread(target=_copy, args=(client, server), daemon=True)
            upward.start()
            self._answer(server, client)
            for each in (client, server):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            upward.join(5)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while chunk := server.recv(_CHUNK):
                passed += len(chunk)
                if passed > self.after and self._may_cut():
                    return
                client.sendall(chunk)

    def _may_cut(self) -> bool:
        with self._lock:
            if self.cut >= self.cuts:
                return False
            self.cut += 1
            return True


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)


@contextmanager
def cutting_proxy(host: str, *, after: int, cuts: int) -> Iterator[tuple[str, CuttingProxy]]:
    """``host:port`` of a proxy before ``host``, and the proxy itself."""
    name, _, port = host.rpartition(":")
    proxy = CuttingProxy((name, int(port)), after, cuts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy.serve, args=(listener,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", proxy
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
