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
        """A step was computed."""

    def first_token(self, seconds: float) -> None:
        """A request got its first token, so long after it was submitted."""

    def next_token(self, seconds: float) -> None:
        """A request got another token, so long after the one before."""

    def ended(self, prompt_tokens: int, output_tokens: int) -> None:
        """A request that had got a token ended, however it did."""


class Both:
    """Two observers, told in turn."""

    def __init__(self, first: Observer, second: Observer) -> None:
        self._observers = (first, second)

    def step(self, report: StepReport) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.step(report)

    def first_token(self, seconds: float) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.first_token(seconds)

    def next_token(self, seconds: float) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.next_token(seconds)

    def ended(self, prompt_tokens: int, output_tokens: int) -> None:
        """Passes it on."""
        for observer in self._observers:
            observer.ended(prompt_tokens, output_tokens)


class Silent:
    """An observer that does nothing."""

    def step(self, report: StepReport) -> None:
        """Ignores it."""

    def first_token(self, seconds: float) -> None:
        """Ignores it."""

    def next_token(self, seconds: float) -> None:
        """Ignores it."""

    def ended(self, prompt_tokens: int, output_tokens: int) -> None:
        """Ignores it."""
