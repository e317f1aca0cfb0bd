"""How busy the pod is and was a moment ago, as one number for those who balance by load. Pure."""

import math
from dataclasses import dataclass

from llm_runtime.backend.base import CacheShape
from llm_runtime.engine.batch import Load

SMOOTHING_SECONDS = 1.0
"""Clients hear of the pod once a second and act on it all at once. Short requests come and go in
between: a look at one moment says 0 or 1 of a pod that is half busy, and sends everybody there or
away."""

IDLE_SECONDS = 1.0
"""After so long without a request nothing is left of busier times."""


def utilization(load: Load, shape: CacheShape) -> float:
    """What runs and waits, as a share of what the pod can run at once; above 1 where much waits.

    It is the requests' share of the slots plus the tokens' share of the caches. Tokens alone make a
    pod look idle whose slots are all taken by short requests. The larger of the two would be the
    slots' share alone: no request holds more tokens than its slot has room for. The sum is at least
    1 while no slot is free, and among pods with as many requests the one with shorter ones is less
    busy.
    """
    requests = (load.running + load.waiting) / shape.slots
    tokens = (load.tokens_held + load.tokens_queued) / (shape.slots * shape.context)
    return requests + tokens


@dataclass(frozen=True, slots=True)
class Utilization:
    """The utilization along time, and its mean with the past fading.

    Attributes:
        at: seconds of a clock that never runs backwards.
        value: it holds from then on.
        mean: as of then.
        idle_since: the start of the time without a request, while it lasts.
    """

    at: float = 0.0
    value: float = 0.0
    mean: float = 0.0
    idle_since: float | None = 0.0

    def see(self, now: float, value: float) -> "Utilization":
        """With this value from now on."""
        idle_since = None if value else now
        if not value and self.idle_since is not None:
            idle_since = self.idle_since
        return Utilization(now, value, self.lately(now), idle_since)

    def lately(self, now: float) -> float:
        """The mean as of now."""
        if self.idle_since is not None and now - self.idle_since >= IDLE_SECONDS:
            return 0.0
        return self.value + (self.mean - self.value) * math.exp((self.at - now) / SMOOTHING_SECONDS)
