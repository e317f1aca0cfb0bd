"""Quantiles of durations in bounded memory. Pure."""

import math
from collections import Counter

_GROWTH = 1.01
_LOG_GROWTH = math.log(_GROWTH)
_LEAST = 1e-6
_LEAST_LOG = math.log(_LEAST)


class Histogram:
    """Counts seconds in buckets that each begin 1 % above the one before, from a microsecond on.

    A quantile is told within 0.5 % of the sample of that rank. At most a few thousand buckets.
    """

    __slots__ = ("_buckets", "count", "largest")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.largest = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Counts a duration; those below a microsecond count as one."""
        bounded = max(seconds, _LEAST)
        self._buckets[int((math.log(bounded) - _LEAST_LOG) / _LOG_GROWTH)] += times
        self.count += times
        self.largest = max(self.largest, bounded)

    def merge(self, other: "Histogram") -> None:
        """Takes the other's counts in, too."""
        self._buckets.update(other._buckets)
        self.count += other.count
        self.largest = max(self.largest, other.largest)

    def quantile(self, share: float) -> float | None:
        """The smallest duration that `share` of all reach or stay below; None without any."""
        if not self.count:
            return None
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bucket, times in sorted(self._buckets.items()):
            seen += times
            if seen >= rank:
                return min(self.largest, _LEAST * math.exp(_LOG_GROWTH * (bucket + 0.5)))
        return self.largest

    def summary(self) -> dict[str, float | int | None]:
        """p50, p90, p99 and the largest, in seconds, and how many there were."""
        quantiles = {f"p{share}": _told(self.quantile(share / 100)) for share in (50, 90, 99)}
        largest = self.largest if self.count else None
        return {**quantiles, "max": _told(largest), "count": self.count}


def _told(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
