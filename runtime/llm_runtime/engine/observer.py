"""What the engine tells about itself while it works.

Called on its thread, so it has to be quick.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step: its seconds, and how many prompt and generated tokens came out of it."""

    seconds: float
    prompt_tokens: int
    generated_tokens: int


class Observer(Protocol):
    """Somebody who counts."""

    def step(self, report: StepReport) -> None:
        """A step was computed and its tokens were published."""

    def first_token(self, seconds: float) -> None:
        """A request got its first token, so long after it was submitted."""

    def next_token(self, seconds: float) -> None:
        """A request got another token, so long after the one before."""


class Silent:
    """An observer that does nothing."""

    def step(self, report: StepReport) -> None:
        """Ignores it."""

    def first_token(self, seconds: float) -> None:
        """Ignores it."""

    def next_token(self, seconds: float) -> None:
        """Ignores it."""
