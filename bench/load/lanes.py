"""Numbers for requests under way: the lowest that is free, so that N at once use 0 to N-1. Pure."""

import heapq


class Lanes:
    """Hands out lane numbers and takes them back."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._made = 0

    @property
    def taken(self) -> int:
        """Lanes in use."""
        return self._made - len(self._free)

    def take(self) -> int:
        """The lowest free lane."""
        if self._free:
            return heapq.heappop(self._free)
        self._made += 1
        return self._made - 1

    def give_back(self, lane: int) -> None:
        """The lane is free again."""
        heapq.heappush(self._free, lane)
