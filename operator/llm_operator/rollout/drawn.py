"""Whether the calls that pods were given show the shares that were asked for. Pure.

Clients draw a revision for each call, so the counts are binomial: within three standard deviations
nothing speaks against the share. Calls that come another way (a plain Service, one long connection)
show here, and nowhere else.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

SIGMAS = 3.0
LATE_SECONDS = 1.0
"""Counting begins so long after clients have accepted a share: calls were on their way before, and
pods tell their counters late."""
SETTLE_SECONDS = 2.0
"""The first verdict comes so long after clients have accepted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Counting since a share was accepted by all clients.

    Attributes:
        shares: per cent by revision.
        since: when clients had accepted it, in seconds of the caller's clock.
        first: requests that each pod had taken in when counting began, by uid; of a pod that came
            later, nought. None before that.
    """

    shares: Mapping[str, int]
    since: float
    first: Mapping[str, int] | None = None

    def looked_at(self, counts: Iterable["Count"], now: float) -> "Draw":
        """Counting begins where its time has come."""
        if self.first is not None or now < self.since + LATE_SECONDS:
            return self
        return replace(self, first={each.pod: each.requests for each in counts})

    def is_settled(self, now: float) -> bool:
        """Whether there may be a verdict."""
        return self.first is not None and now >= self.since + SETTLE_SECONDS


@dataclass(frozen=True, slots=True)
class Count:
    """Requests that a pod of a revision has taken in since its start."""

    revision: str
    pod: str
    requests: int


def taken(draw: Draw, counts: Iterable[Count]) -> Mapping[str, int]:
    """Requests by revision since then. A pod whose count fell has started anew."""
    sums, known = dict.fromkeys(draw.shares, 0), draw.first or {}
    for each in counts:
        first = known.get(each.pod, 0)
        since = each.requests - first if each.requests >= first else each.requests
        if each.revision in sums:
            sums[each.revision] += since
    return sums


def is_within_bounds(shares: Mapping[str, int], requests: Mapping[str, int]) -> bool:
    """Whether each revision's count is within three standard deviations of what its share says, and
    one request beyond, because counts are whole."""
    total = sum(requests.values())
    for revision, percent in shares.items():
        share = percent / 100
        deviation = math.sqrt(total * share * (1 - share))
        if abs(requests.get(revision, 0) - total * share) > SIGMAS * deviation + 1:
            return False
    return True
