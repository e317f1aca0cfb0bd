"""Tokens per second and seconds per step over the last while, for whoever balances load by them."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """Generated tokens per second of wall time, and mean seconds of a step; 0 without a step."""

    tokens_per_second: float
    step_seconds: float


class RateWindow:
    """Sums over the last `span` seconds, kept per whole second so that it stays small."""

    def __init__(self, span: int = 10) -> None:
        self._span = span
        self._seconds: deque[tuple[int, int, int, float]] = deque(maxlen=span + 1)

    def add(self, now: float, tokens: int, seconds: float) -> None:
        """Notes a step that ended now."""
        second = int(now)
        steps = 0
        total = 0.0
        if self._seconds and self._seconds[-1][0] == second:
            _, before, steps, total = self._seconds.pop()
            tokens += before
        self._seconds.append((second, tokens, steps + 1, total + seconds))

    def rates(self, now: float) -> Rates:
        """The rates over the window that ends now."""
        recent = [item for item in self._seconds if item[0] > now - self._span]
        steps = sum(item[2] for item in recent)
        return Rates(
            tokens_per_second=sum(item[1] for item in recent) / self._span,
            step_seconds=sum(item[3] for item in recent) / steps if steps else 0.0,
        )
