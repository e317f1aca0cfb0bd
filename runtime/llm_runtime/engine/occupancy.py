"""How many requests there were, added up over time. Pure.

A count that is read now and then says nothing about the time between: the difference of two sums
does, exactly, however rarely they are read.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Requests that ran or waited, from the start until now.

    Attributes:
        at: seconds of a clock that never runs backwards.
        requests: so many there are since then.
        request_seconds: their number, integrated over the time before.
    """

    at: float = 0.0
    requests: int = 0
    request_seconds: float = 0.0

    def see(self, now: float, requests: int | None = None) -> "Occupancy":
        """With so many requests from now on; unless told, as many as before."""
        total = self.request_seconds + self.requests * (now - self.at)
        return Occupancy(now, self.requests if requests is None else requests, total)
