"""A unit test touches no network."""

import socket
from typing import Any, NoReturn

import pytest


class SocketRefusedError(Exception):
    """A unit test reached for the network: it belongs into tests/contract."""


def _refuse(*_: Any) -> NoReturn:
    raise SocketRefusedError("a unit test opens no connection and no port")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pair of connected sockets that wakes an asyncio loop stays possible."""
    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, _refuse)
