"""How long pods take from being wanted to being ready, learned by watching. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llm_operator.autoscale.observation import Observation

STARTS = 20
"""The newest ones count."""

LONGEST_SECONDS = 1800.0
"""A start that takes longer is a fault, not a start-up time."""


@dataclass(frozen=True, slots=True)
class Startups:
    """Starts seen and under way."""

    since: Mapping[str, float] | None = None
    """When each pod that is there was first seen, by uid; NaN where it was there before us or has
    been ready since. None before the first look."""
    took: tuple[float, ...] = ()
    """Seconds of the newest starts."""

    def see(self, observation: Observation) -> "Startups":
        """With what is ready and awaited now. A pod starts once: what it does after it was ready
        is no start, and what others do is not its."""
        now, known = observation.now, self.since
        ready = [pod.uid for pod in observation.pods]
        if known is None:
            return Startups(dict.fromkeys((*ready, *observation.awaited), math.nan))
        since = {uid: known.get(uid, now) for uid in observation.awaited}
        took = (now - known.get(uid, math.nan) for uid in ready)
        kept = tuple(seconds for seconds in took if 0 < seconds <= LONGEST_SECONDS)
        since |= dict.fromkeys(ready, math.nan)
        return replace(self, since=since, took=(*self.took, *kept)[-STARTS:])

    @property
    def p90(self) -> float | None:
        """Seconds within which nine of ten starts ended; None before the first one."""
        ordered = sorted(self.took)
        return ordered[math.ceil(0.9 * len(ordered)) - 1] if ordered else None
