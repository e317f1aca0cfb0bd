"""Which metadata goes on to the other side. Everything does but what belongs to one connection."""

import re
from collections.abc import Iterable

Pairs = tuple[tuple[str, str | bytes], ...]

RETRY_HINT = "grpc-retry-pushback-ms"
"""Milliseconds after which another try is worth it; negative or no number: never."""

_OF_A_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",  # a channel always names itself
    }
)
_RESERVED = "grpc-"
_PASSED = frozenset({"grpc-status-details-bin", RETRY_HINT, "grpc-trace-bin", "grpc-tags-bin"})
"""What applications may set of the protocol's own names."""
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_LARGEST_HINT = 2**31 - 1


def passed_on(metadata: Iterable[tuple[str, str | bytes]] | None) -> Pairs:
    """The pairs that the other side gets, in their order, repeated keys included."""
    return tuple((key, value) for key, value in metadata or () if _is_passed(key))


def _is_passed(key: str) -> bool:
    if key.startswith(_RESERVED):
        return key in _PASSED
    return not key.startswith(":") and key not in _OF_A_CONNECTION


def retry_hint(trailers: Iterable[tuple[str, str | bytes]]) -> int | None:
    """Milliseconds that a server asks to wait before another try; None where it says nothing.

    Negative: it asks for no other try, as does, for gRPC too, a value that is no 32-bit number.
    """
    values = [value for key, value in trailers if key == RETRY_HINT]
    if not values:
        return None
    text = values[-1]
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return -1
    return int(text) if int(text) <= _LARGEST_HINT else -1
