"""Progress for people: a bar on a terminal, plain lines anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm_runtime.model.progress import Progress, Step, remaining_seconds
from llm_runtime.model.space import shown

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def displayed() -> Iterator[Progress]:
    """Progress that is shown on stderr while the block runs."""
    if not sys.stderr.isatty():
        yield LineProgress(lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        yield _BarProgress(bars.add_task, bars.advance)


class _BarProgress:
    """One bar per step."""

    def __init__(self, add: Callable[..., "object"], advance: Callable[..., None]) -> None:
        self._add = add
        self._advance = advance
        self._task: object | None = None

    def begin(self, step: Step, total: int) -> None:
        """A new bar."""
        self._task = self._add(step.value, total=total or None)

    def advance(self, count: int) -> None:
        """The bar grows."""
        if self._task is not None:
            self._advance(self._task, count)


class LineProgress:
    """A line when a step begins, and one about every ten seconds while it goes on."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._step = Step.FETCH
        self._done = self._total = 0
        self._started = self._last = 0.0

    def begin(self, step: Step, total: int) -> None:
        """Says what starts."""
        self._step, self._done, self._total = step, 0, total
        self._started = self._last = self._clock()
        size = f", {shown(total)}" if total else ""
        self._write(f"{step.value}: started{size}")

    def advance(self, count: int) -> None:
        """Says how far it is, if it is time to."""
        self._done += count
        now = self._clock()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._write(self._line(now - self._started))

    def _line(self, elapsed: float) -> str:
        if not self._total:
            return f"{self._step.value}: {shown(self._done)}"
        left = remaining_seconds(self._done, self._total, elapsed)
        text = f"{self._step.value}: {shown(self._done)} of {shown(self._total)}"
        return text if left is None else f"{text}, about {left} s left"
