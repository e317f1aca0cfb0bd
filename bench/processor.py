"""How much of the machine was idle: a benchmark on a full one measures the wait for the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

IDLE_LIMIT_PERCENT = 10.0


class BusyError(Exception):
    """The machine was too busy for figures to mean something."""


@dataclass(slots=True)
class Idle:
    """Share of CPU time that nobody used, in percent; known when the block has ended."""

    percent: float = 0.0

    @property
    def is_valid(self) -> bool:
        """Whether enough was idle for the figures to mean something."""
        return self.percent >= IDLE_LIMIT_PERCENT


@contextmanager
def watched() -> Iterator[Idle]:
    """Measures the idle share of the block."""
    idle = Idle()
    before = _times()
    yield idle
    after = _times()
    total = sum(after) - sum(before)
    idle.percent = 100 * ((after[3] + after[4]) - (before[3] + before[4])) / max(1, total)


def _times() -> tuple[int, ...]:
    """user, nice, system, idle, iowait, … of all CPUs since boot, in ticks (proc(5))."""
    return tuple(int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
