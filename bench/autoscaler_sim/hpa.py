"""HorizontalPodAutoscaler v2 on a pod metric, with its defaults.

Source: pkg/controller/podautoscaler (replica_calculator.go calcPlainMetricReplicas, horizontal.go
with behaviors) of Kubernetes 1.35: sync 15 s, tolerance 0.1, pods without metrics count as 0 on the
way up and as full on the way down, scale-down window 300 s, at most the larger of 100 % and 4 pods
more and 100 % fewer in 15 s, never zero.

Kinder than life: the metric is there without scraping, storing and adapter, which take 30 to 60 s.
"""

import math

from bench.autoscaler_sim.peer_load import PeerLoad
from bench.autoscaler_sim.scaler import Bounds
from llm_operator.autoscale.observation import Observation

TOLERANCE = 0.1
DOWN_WINDOW_SECONDS = 300.0
POLICY_SECONDS = 15.0


class Hpa:
    """One HPA object."""

    period = 15.0

    def __init__(self, bounds: Bounds, initial: int) -> None:
        """Starts with its recommendation at what there is, as the controller does."""
        self._bounds = bounds
        self._load = PeerLoad()
        self._recommended: list[tuple[float, int]] = [(0.0, initial)]
        self._changes: list[tuple[float, int]] = []

    def decide(self, observation: Observation) -> int:
        """One sync."""
        now, current = observation.now, observation.current
        wish = self._plain(observation)
        self._recommended = [r for r in self._recommended if now - r[0] < DOWN_WINDOW_SECONDS]
        self._recommended.append((now, wish))
        if wish < current:
            wish = min(current, max(count for _, count in self._recommended))
        wish = self._limited(now, current, wish)
        wish = max(max(1, self._bounds.least), min(self._bounds.most, wish))
        if wish != current:
            self._changes.append((now, wish - current))
        return wish

    def _plain(self, observation: Observation) -> int:
        """calcPlainMetricReplicas."""
        current = observation.current
        load = self._load.of(observation)
        waiting = observation.pending + len(observation.unschedulable_since)
        if load.ready == 0:
            return current
        ratio = load.pods / load.ready / self._bounds.target
        if not waiting or ratio <= 1.0:
            if abs(ratio - 1.0) <= TOLERANCE:
                return current
            # Pods that start give no metric: full on the way down.
            pods = load.ready + waiting
            ratio = (load.pods / self._bounds.target + waiting) / pods if waiting else ratio
        else:
            pods = load.ready + waiting
            ratio = load.pods / pods / self._bounds.target
            if ratio < 1.0:
                return current
        if abs(ratio - 1.0) <= TOLERANCE:
            return current
        wish = math.ceil(ratio * pods - 1e-6) if waiting else math.ceil(ratio * load.ready - 1e-6)
        flips = (ratio < 1.0 and wish > current) or (ratio > 1.0 and wish < current)
        return current if flips else wish

    def _limited(self, now: float, current: int, wish: int) -> int:
        """Default policies: up by the larger of 100 % and 4 pods in 15 s; down without limit."""
        recent = sum(by for at, by in self._changes if now - at < POLICY_SECONDS and by > 0)
        start = current - recent
        return min(wish, max(start + 4, 2 * start)) if wish > current else wish
