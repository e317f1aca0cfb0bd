"""One simulated request."""

from dataclasses import dataclass


@dataclass(slots=True)
class Request:
    """A prompt and its answer, in tokens. Times in seconds."""

    at: float
    """Since the start of the simulation: when a client sent it first."""
    prompt: int
    output: int
    answered: float | None = None
    """From then until its first token."""
    ended: float | None = None
    """From then until its last token."""
    is_lost: bool = False
    """Its pod ended in mid-answer."""

    @property
    def inter_token(self) -> float | None:
        """Mean time between two tokens; None where there are not two, or not yet."""
        if self.answered is None or self.ended is None or self.output < 2:
            return None
        return (self.ended - self.answered) / (self.output - 1)
