"""What was seen lately, in bounded memory: a mean over time, and extremes over time. Pure."""

from dataclasses import dataclass, replace

POINTS = 32
"""How finely a window is kept: older points come closer together than a 32nd of it become one."""


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over time of a value that holds until the next one is seen.

    Kept as points of the running integral; between two points the value counts as constant.
    """

    points: tuple[tuple[float, float], ...] = ()
    """(seconds since the epoch, integral until then), oldest first."""
    value: float = 0.0
    """What holds since the last point."""

    def see(self, now: float, value: float, window: float) -> "Mean":
        """With `value` holding from `now` on; what `window` seconds no longer reach is dropped."""
        if not self.points:
            return Mean(points=((now, 0.0),), value=value)
        points, area = self.points, self._area(now)
        gone = next((i for i, (at, _) in enumerate(points) if at > now - window), len(points)) - 1
        points = points[max(0, gone) :]
        if len(points) > 1 and now - points[-2][0] < window / POINTS:
            points = points[:-1]
        if now <= points[-1][0]:
            return Mean(points=points, value=value)
        return Mean(points=(*points, (now, area)), value=value)

    def over(self, now: float, window: float) -> float:
        """The mean of the last `window` seconds, or of what there is of them."""
        if not self.points:
            return 0.0
        start = max(now - window, self.points[0][0])
        if now - start <= 0.0:
            return self.value
        return max(0.0, (self._area(now) - self._area(start)) / (now - start))

    def since(self) -> float | None:
        """When the first value still known was seen."""
        return self.points[0][0] if self.points else None

    def _area(self, at: float) -> float:
        """The integral until `at`."""
        last, area = self.points[-1]
        if at >= last:
            return area + self.value * (at - last)
        before = self.points[0]
        for point in self.points[1:]:
            if point[0] >= at:
                return before[1] + (point[1] - before[1]) * (at - before[0]) / (
                    point[0] - before[0]
                )
            before = point
        return area


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest of the counts seen within a window (the lowest of -n is -(the highest of n))."""

    seen: tuple[tuple[float, int], ...] = ()
    """(last seconds at which it held, count): strictly falling counts, so never many."""

    def see(self, now: float, count: int, window: float) -> "Highest":
        """With `count` seen at `now`."""
        kept = tuple(s for s in self.seen if s[1] > count and s[0] > now - window)
        return replace(self, seen=(*kept, (now, count)))

    def value(self) -> int:
        """The highest count; call `see` first."""
        return self.seen[0][1]

    def falls_at(self, window: float) -> float | None:
        """When the highest count leaves the window, if a lower one is known."""
        return self.seen[0][0] + window if len(self.seen) > 1 else None
