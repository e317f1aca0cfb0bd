"""How far a step is: bytes done and to do, and when it will probably end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Step(StrEnum):
    """The steps from a source to a stored artifact, in order."""

    FETCH = "fetch"
    EXPORT = "export"
    VERIFY = "verify"
    PUSH = "push"


class Progress(Protocol):
    """Told by a step how far it is; both methods may be called from any thread."""

    def begin(self, step: Step, total: int) -> None:
        """A step starts that will move ``total`` bytes, 0 when unknown."""

    def advance(self, count: int) -> None:
        """``count`` more bytes are done."""


class Unwatched:
    """Progress that nobody looks at."""

    def begin(self, step: Step, total: int) -> None:
        """Does nothing."""

    def advance(self, count: int) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """Bytes done and to do (0 when unknown); ``eta_seconds`` once there is a rate to tell from."""

    step: Step | None = None
    done: int = 0
    total: int = 0
    eta_seconds: int | None = None


def remaining_seconds(done: int, total: int, elapsed: float) -> int | None:
    """Seconds that the rest takes at the rate so far; None while there is none."""
    if total <= 0 or done <= 0 or elapsed <= 0:
        return None
    return round(max(0, total - done) * elapsed / done)


class SharedProgress:
    """Progress that other threads read while the work goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._done = self._total = 0
        self._started = 0.0

    def begin(self, step: Step, total: int) -> None:
        """A step starts."""
        with self._lock:
            self._step, self._done, self._total = step, 0, total
            self._started = self._clock()

    def advance(self, count: int) -> None:
        """More bytes are done."""
        with self._lock:
            self._done += count

    def report(self) -> ProgressReport:
        """The state at this moment."""
        with self._lock:
            elapsed = self._clock() - self._started
            eta = remaining_seconds(self._done, self._total, elapsed)
            return ProgressReport(self._step, self._done, self._total, eta)


class BothProgress:
    """Tells two listeners."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._both = (first, second)

    def begin(self, step: Step, total: int) -> None:
        """A step starts."""
        for each in self._both:
            each.begin(step, total)

    def advance(self, count: int) -> None:
        """More bytes are done."""
        for each in self._both:
            each.advance(count)
