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
"""Also after an answer that asks for no pause at all: no pod is asked again in a tight loop."""
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
    many seconds are over. broken: how often it was broken off so far."""

    seconds: float
    broken: int


def verdict(
    status: Status, broken: int, *, is_untouched: bool, is_late: bool = False
) -> PassOn | TryAgain:
    """Judges a pod's answer.

    broken: how often the call was broken off before this answer. is_late: the time for which it may
    be held is over, so that a full queue is not asked again.
    """
    hint = retry_hint(status.trailers)
    if not is_untouched or (hint is not None and hint < 0):
        return PassOn()
    if status.code is grpc.StatusCode.RESOURCE_EXHAUSTED and hint is not None:
        # A full queue: it will have room again.
        return PassOn() if is_late else TryAgain(_pause(hint), broken)
    if status.code in _BROKEN and broken + 1 < TRIES:
        grown = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**broken)
        return TryAgain(grown if hint is None else _pause(hint), broken + 1)
    return PassOn()


def _pause(hint: int) -> float:
    return max(FIRST_PAUSE_SECONDS, hint / 1000)
