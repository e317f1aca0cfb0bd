"""Tells a person what is going on, on standard error, with the time every step took.

On a terminal a running step shows a spinner; elsewhere a line at the start and one at the end, and
one each half minute in between, so that a log never looks stuck.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

_STILL_RUNNING_SECONDS = 30.0


class Progress:
    """Writes steps and notes; safe to use from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line, now."""
        self._console.print(text, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows ``title`` while the body runs, then how long it took or that it failed."""
        started = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(title, started, done), daemon=True)
        ticker.start()
        verdict = "failed after"
        try:
            yield
            verdict = "done in"
        finally:
            done.set()
            ticker.join()
            self.say(f"  {title}: {verdict} {time.monotonic() - started:.1f} s")

    def _tick(self, title: str, started: float, done: threading.Event) -> None:
        if self._console.is_terminal:
            with self._console.status(f"{title} …"):
                done.wait()
            return
        while not done.wait(_STILL_RUNNING_SECONDS):
            self.say(f"  {title}: running for {time.monotonic() - started:.0f} s")
