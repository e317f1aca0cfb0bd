"""A high share of what was measured over the last while, such as its 90th percentile.

Pure. Values are counted in buckets whose bounds grow by a fixed ratio, so that the answer is off by
at most half a bucket, however many values there are; buckets are kept apart for each slice of time,
so that old ones can be taken away. The memory is bounded by buckets times slices.
"""

import math
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field

_SHORTEST = 1e-4
_LONGEST = 3600.0
_RATIO = 1.1
_BOUNDS = tuple(
    _SHORTEST * _RATIO**index
    for index in range(math.ceil(math.log(_LONGEST / _SHORTEST, _RATIO)) + 1)
)
RELATIVE_ERROR = math.sqrt(_RATIO) - 1
"""Of an answer between the shortest and the longest duration, 0.1 ms and an hour."""


@dataclass(slots=True)
class _Slice:
    number: int
    counts: Counter[int] = field(default_factory=Counter)


class RecentQuantile:
    """Durations in seconds over the last `span` seconds, forgotten a slice at a time."""

    def __init__(self, span: float = 60.0, slices: int = 12) -> None:
        self._slice_seconds = span / slices
        self._most = slices
        self._slices: deque[_Slice] = deque()
        self._totals = [0] * len(_BOUNDS)
        self._count = 0

    def add(self, now: float, seconds: float) -> None:
        """Notes a duration that was measured now; `now` never goes back."""
        bucket = min(bisect_left(_BOUNDS, seconds), len(_BOUNDS) - 1)
        self._current(now).counts[bucket] += 1
        self._totals[bucket] += 1
        self._count += 1

    def at(self, now: float, share: float) -> float:
        """The duration that so large a share of them does not exceed; 0 where there is none."""
        self._forget(int(now // self._slice_seconds))
        if self._count == 0:
            return 0.0
        rank = max(1, math.ceil(share * self._count))
        for bucket, count in enumerate(self._totals):
            rank -= count
            if rank <= 0:
                return _BOUNDS[bucket] / math.sqrt(_RATIO) if bucket else _BOUNDS[0]
        return _BOUNDS[-1]

    def _current(self, now: float) -> _Slice:
        number = int(now // self._slice_seconds)
        self._forget(number)
        if not self._slices or self._slices[-1].number < number:
            self._slices.append(_Slice(number))
        return self._slices[-1]

    def _forget(self, number: int) -> None:
        """Takes away the slices that are a span older than this one."""
        while self._slices and self._slices[0].number <= number - self._most:
            for bucket, count in self._slices.popleft().counts.items():
                self._totals[bucket] -= count
                self._count -= count
