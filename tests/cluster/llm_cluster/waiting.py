"""Waiting for a condition, with a limit and a message."""

import time
from collections.abc import Callable

from llm_cluster.errors import ClusterError


def wait_until(what: str, is_so: Callable[[], bool], seconds: float, hint: str = "") -> None:
    """Returns once ``is_so``; raises ClusterError with ``what`` and ``hint`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while not is_so():
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} did not happen within {seconds:.0f} s. {hint}".strip())
        time.sleep(pause)
        pause = min(pause * 1.3, 0.5)
