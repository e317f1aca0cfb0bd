"""What fewer pods turned out not to hold, so that a constant load makes no pod come and go. Pure.

A pod is slower the fuller it is, so the same stream of requests is more load to fewer pods. The
room that is left when pods are given up covers most of that; where it did not, the pods came back
soon and at hardly more load, and the same step is not tried again at such a load.
"""

import math
from dataclasses import dataclass, replace

SOON_WINDOWS = 2
"""Stable windows after a drop within which a raise speaks against it."""

HARDLY_MORE = 1.5
"""A raise at more than this multiple of the load of the drop speaks of new load instead."""

MEMORY_SECONDS = 3600.0
"""For so long; requests and pods may be others by then."""

LESS = 0.9
"""Below this share of the load that was not held the step is tried again."""


@dataclass(frozen=True, slots=True)
class Relapse:
    """The last drop, and the last one that was taken back."""

    dropped_at: float = -math.inf
    dropped_to: int = 0
    dropped_load: float = 0.0
    """In pods."""
    held_not: int = 0
    """So many pods, or fewer, did not hold `held_not_load`; 0: none is known."""
    held_not_load: float = math.inf
    held_not_at: float = -math.inf

    def dropped(self, now: float, count: int, load: float) -> "Relapse":
        """Pods are given up because the load is so low."""
        return replace(self, dropped_at=now, dropped_to=count, dropped_load=load)

    def raised(self, now: float, before: int, load: float, stable_window: float) -> "Relapse":
        """Pods are added to `before` ones because the load is so high."""
        is_soon = now - self.dropped_at <= SOON_WINDOWS * stable_window
        is_alike = load <= HARDLY_MORE * self.dropped_load
        if before != self.dropped_to or not (is_soon and is_alike):
            return self
        return replace(self, held_not=before, held_not_load=self.dropped_load, held_not_at=now)

    def fewest(self, now: float, load: float) -> int:
        """The pods that such a load needs by experience; 0 where there is none."""
        is_known = self.held_not and now - self.held_not_at < MEMORY_SECONDS
        return self.held_not + 1 if is_known and load > LESS * self.held_not_load else 0
