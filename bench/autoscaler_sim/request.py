"""One simulated request."""

from dataclasses import dataclass


@dataclass(slots=True)
class Request:
    """A prompt and its answer, in tokens."""

    at: float
    """Seconds since the start at which a client sent it first."""
    prompt: int
    output: int
    answered: float | None = None
    """Seconds until its first token."""
    is_lost: bool = False
    """Its pod failed in mid-answer."""
