"""Waiting for a condition of a real cluster: it is asked again until it holds or its time is up."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], *, seconds: float, what: str, every: float = 0.5) -> None:
    """Returns when `holds` is true; raises TimeoutError that names `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)
