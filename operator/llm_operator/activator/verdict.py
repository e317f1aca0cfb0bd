"""What to do about a call when a pod's answer has ended: give it to the client, or try again.

Pure. A call is tried again only where the client cannot notice: nothing of the answer went to it,
and the request is still held as a whole.
"""

from dataclasses import dataclass

import grpc

from llm_operator.activator.metadata import Pairs, retry_hint

TRIES = 5
"""Of calls that pods break off without a word; the last answer is the client's."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

_BROKEN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
"""No connection, a pod that died or is leaving. A server that shuts down answers CANCELLED to calls
that arrive with its GOAWAY (https://github.com/grpc/grpc/issues/41785)."""


@dataclass(frozen=True, slots=True)
class Status:
    """The end of a call, as a server gives it."""

    code: grpc.StatusCode
    details: str = ""
    trailers: Pairs = ()


@dataclass(frozen=True, slots=True)
class PassOn:
    """The client gets this status."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The call is held again: a pod that did not have it yet takes it at once, the others when so
    many seconds are over."""

    seconds: float


def verdict(status: Status, tries: int, *, is_untouched: bool) -> PassOn | TryAgain:
    """`tries` counts those that ended like this one, from 1."""
    hint = retry_hint(status.trailers)
    if not is_untouched or (hint is not None and hint < 0):
        return PassOn()
    if status.code is grpc.StatusCode.RESOURCE_EXHAUSTED and hint is not None:
        return TryAgain(hint / 1000)  # a full queue: it will have room again
    if status.code in _BROKEN and tries < TRIES:
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1))
        return TryAgain(pause if hint is None else hint / 1000)
    return PassOn()
