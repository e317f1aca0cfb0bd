"""Latency as a guard: it may add a pod or keep one where tokens alone say that the load fits. Pure.

Latency is late and not linear, so it is no measure of how many pods are missing. What it does tell
is remembered: the load per pod at which it was too high is what a pod carries from then on.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from llm_operator.api.llmdeployment import TargetsSpec
from llm_operator.autoscale.demand import Load, is_credible
from llm_operator.autoscale.observation import Observation

PATIENCE_SECONDS = 3.0
"""So long latency must be too high before a pod is added."""

MEMORY_SECONDS = 60.0
"""Pods report latencies of their last minute: so long a new pod's effect stays hidden."""

FORGET_SECONDS = 3600.0
"""After this long a pod may again try to carry what was once too much."""

ROOM = 0.8
"""A pod may only go where latencies would stay below this share of their targets."""

LEAST_CARRIED = 0.25
"""No slowness makes a pod count for less than this share of what its tokens say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Latency so far."""

    since: float | None = None
    """Since when it is too high without a break."""
    grown_at: float = -math.inf
    """When a pod became ready last, or was last asked for by this guard."""
    ready: int = 0
    limit: float = math.inf
    """Load per pod that was too much."""
    limit_at: float = -math.inf

    def see(self, observation: Observation, load: Load, targets: TargetsSpec) -> "Guard":
        """With what is reported now."""
        now, since = observation.now, None
        if _strain(observation, targets) > 1.0:
            since = now if self.since is None else self.since
        grown_at = now if load.ready > self.ready > 0 else self.grown_at
        limit = math.inf if now - self.limit_at > FORGET_SECONDS else self.limit
        if (since, grown_at, load.ready, limit) == (
            self.since,
            self.grown_at,
            self.ready,
            self.limit,
        ):
            return self
        return replace(self, since=since, grown_at=grown_at, ready=load.ready, limit=limit)

    def is_due(self, now: float) -> bool:
        """Whether a pod should be added for the latency alone."""
        return (
            self.since is not None
            and now - self.since >= PATIENCE_SECONDS
            and now - self.grown_at >= MEMORY_SECONDS
        )

    def spoke(self, now: float, pods: float, utilization: float) -> "Guard":
        """After a pod was added for a load that fills `pods`: what each carried was too much."""
        # Half a pod more than there are, so that the same load needs one more from now on.
        limit = max(pods / (self.ready + 0.5), LEAST_CARRIED * utilization)
        return replace(self, since=None, grown_at=now, limit=min(self.limit, limit), limit_at=now)


def fewest(observation: Observation, load: Load, targets: TargetsSpec) -> int:
    """The fewest pods with which latencies would keep clear of their targets, if they grow as the
    load per pod does."""
    strain = _strain(observation, targets)
    return math.floor(max(1, load.ready) * strain / ROOM) + 1 if strain else 0


def _strain(observation: Observation, targets: TargetsSpec) -> float:
    """The larger of the latencies in terms of its target; 0 where nothing runs or waits."""
    first, inter = targets.time_to_first_token_p90, targets.inter_token_latency_p90
    if first is None and inter is None:
        return 0.0
    reports = [pod.load for pod in observation.pods if pod.load and is_credible(pod.load)]
    # Without a queue, more pods would not answer sooner.
    waits = [(r.first_token_p90, r.waiting) for r in reports if r.waiting]
    gaps = [(r.inter_token_p90, r.running) for r in reports if r.running]
    return max(
        _typical(waits) / first if first else 0.0,
        _typical(gaps) / inter if inter else 0.0,
    )


def _typical(values: Iterable[tuple[float, int]]) -> float:
    """The median weighted by requests: one pod that lies or limps does not move it far."""
    ordered = sorted(values)
    half, below = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        below += weight
        if below >= half:
            return value
    return 0.0
