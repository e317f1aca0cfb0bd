"""What the activator itself says to callers. The texts repeat nothing of a request."""

import grpc

from llm_operator.activator.metadata import RETRY_HINT
from llm_operator.activator.room import Shortage
from llm_operator.activator.verdict import Status

RETRY_MILLISECONDS = 5000
"""A pod's start takes longer; the client should not ask every moment."""

_SHORT_OF = {
    Shortage.CALLS: "as many calls wait as may",
    Shortage.BYTES: "the waiting calls hold as many bytes as they may",
    Shortage.TOTAL_BYTES: "the calls of all models take as many bytes as they may",
}


def full(shortage: Shortage) -> Status:
    """A bound of holding is reached."""
    return Status(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"No pod can have it yet and {_SHORT_OF[shortage]}: retry in {RETRY_MILLISECONDS} ms",
        ((RETRY_HINT, str(RETRY_MILLISECONDS)),),
    )


def waited(seconds: float) -> Status:
    """The hold timeout passed."""
    return Status(
        grpc.StatusCode.UNAVAILABLE,
        f"No pod became ready within {seconds:g} s (scaleToZero.holdTimeoutSeconds)",
    )


BROKEN_OFF = Status(grpc.StatusCode.UNAVAILABLE, "The call to the pod was broken off: retry")
LEAVING = Status(grpc.StatusCode.UNAVAILABLE, "The activator pod ends: retry")
GONE = Status(grpc.StatusCode.UNAVAILABLE, "Nothing serves here any more: retry")
