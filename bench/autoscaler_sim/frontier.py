"""What an algorithm could have had for so many pod-hours. Pure.

One setting buys fewer violations with more pod-hours than another. The settings that no other one
beats in both make a line; a comparison at equal pod-hours reads the line there.
"""

import itertools
from collections.abc import Iterable

Point = tuple[float, float]
"""(pod-hours, violations)."""


def frontier(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points that no other one beats in both, the cheapest first."""
    best: list[Point] = []
    for point in sorted(points):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    return tuple(best)


def at(line: tuple[Point, ...], hours: float) -> float:
    """Violations for so many pod-hours: straight between two settings, the cheapest one's below
    it, the dearest one's above it. at(((2, 100), (4, 50)), 3) = 75."""
    if hours <= line[0][0]:
        return line[0][1]
    for (low, many), (high, few) in itertools.pairwise(line):
        if hours <= high:
            return many + (few - many) * (hours - low) / (high - low)
    return line[-1][1]
