"""What was seen lately, in bounded memory: a mean over time, and extremes over time. Pure."""

from dataclasses import dataclass, field

POINTS = 32
"""How finely a window is kept: older points come closer together than a 32nd of it become one."""

AMENDED_SECONDS = 1.0
"""What turns out later to have been otherwise was so for about as long."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A total along time, as points with straight lines between them."""

    points: tuple[tuple[float, float], ...] = ()
    """(seconds since the epoch, total then), oldest first."""

    def see(self, now: float, total: float, window: float) -> "Curve":
        """With the total of `now`, be it another one than was seen at that moment before; what
        `window` seconds no longer reach is dropped."""
        points = self.points
        if points and now == points[-1][0]:
            points = points[:-1]
        if not points:
            return Curve(((now, total),))
        if now < points[-1][0]:
            return self
        while len(points) > 1 and points[1][0] <= now - window:
            points = points[1:]
        if len(points) > 1 and now - points[-2][0] < window / POINTS:
            points = points[:-1]
        return Curve((*points, (now, total)))

    def amended(self, missed: float, since: float) -> "Curve":
        """With so much more at its end, that came in evenly since then."""
        span = self.points[-1][0] - since
        points = ((at, total + missed * max(0.0, at - since) / span) for at, total in self.points)
        return Curve(tuple(points))

    def at(self, when: float) -> float:
        """The total then; before the first point and after the last one, theirs."""
        if not self.points:
            return 0.0
        after = self.points[-1]
        for before in reversed(self.points):
            if before[0] <= when:
                slope = (after[1] - before[1]) / (after[0] - before[0] or 1.0)
                return before[1] + slope * (min(when, after[0]) - before[0])
            after = before
        return after[1]

    @property
    def start(self) -> float:
        """The time of the oldest point."""
        return self.points[0][0]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over time of a value that holds until the next one is seen."""

    area: Curve = field(default_factory=Curve)
    """The integral of the value."""
    value: float = 0.0
    """What holds since the last point."""

    def see(self, now: float, value: float, window: float, missed: float = 0.0) -> "Mean":
        """With `value` holding from `now` on. `missed`: what the integral of the time before
        turns out to lack (below 0: to have too much)."""
        area = self.area.see(now, self._area(now), window)
        return Mean(area.amended(missed, now - AMENDED_SECONDS) if missed else area, value)

    def over(self, now: float, window: float) -> float:
        """The mean of the last `window` seconds, or of what there is of them."""
        if not self.area.points:
            return 0.0
        start = max(now - window, self.area.start)
        if now - start <= 0.0:
            return self.value
        return max(0.0, (self._area(now) - self.area.at(start)) / (now - start))

    def _area(self, now: float) -> float:
        if not self.area.points:
            return 0.0
        last, area = self.area.points[-1]
        return area + self.value * max(0.0, now - last)


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest of the counts seen within a window (the lowest of n is minus that of -n)."""

    seen: tuple[tuple[float, int], ...] = ()
    """(last time at which it was seen, count): strictly falling counts, so never many."""

    def see(self, now: float, count: int, window: float) -> "Highest":
        """With `count` seen at `now`; what `window` seconds no longer reach is dropped."""
        kept = tuple(s for s in self.seen if s[1] > count and s[0] > now - window)
        return Highest((*kept, (now, count)))

    def over(self, now: float, window: float) -> int:
        """The highest count of the last `window` seconds; `see` something first."""
        return next((count for at, count in self.seen if at > now - window), self.seen[-1][1])

    def falls_at(self, now: float, window: float) -> float | None:
        """When the highest count leaves the window, if a lower one is known."""
        ends = (at + window for at, _ in self.seen[:-1] if at > now - window)
        return next(ends, None)
