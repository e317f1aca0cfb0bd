"""Knative's pod autoscaler (KPA) with its defaults.

Source: pkg/autoscaler/scaling/autoscaler.go of Knative Serving 1.23: a look every 2 s, stable
window 60 s, panic window 6 s, panic threshold 200 %, up by 1000 and down by 2 at most, no
scale-down delay unless one is asked for, to zero after a silent stable window and 30 s of grace.
More than one pod: started in panic.

Kinder than life: Knative removes any pod and does not ask it back; here the idlest goes, and comes
back while it drains.
"""

import math

from bench.autoscaler_sim.peer_load import PeerLoad
from bench.autoscaler_sim.scaler import Bounds
from llm_operator.autoscale.observation import Observation
from llm_operator.autoscale.windows import Highest, Mean

STABLE_SECONDS, PANIC_SECONDS, GRACE_SECONDS = 60.0, 6.0, 30.0
PANIC_THRESHOLD = 2.0
MOST_UP, MOST_DOWN = 1000.0, 2.0


class Kpa:
    """One PodAutoscaler of class kpa."""

    period = 2.0

    def __init__(self, bounds: Bounds, initial: int, down_delay: float = 0.0) -> None:
        """Starts in panic with more than one pod. `down_delay`: scale-down-delay in seconds."""
        self._bounds, self._down_delay = bounds, down_delay
        self._wishes = Highest()
        self._load = PeerLoad()
        self._stable, self._panic = Mean(), Mean()
        self._panic_at: float | None = 0.0 if initial > 1 else None
        self._panic_pods = initial if initial > 1 else 0
        self._busy_at = 0.0

    def decide(self, observation: Observation) -> int:
        """One tick of Scale()."""
        now = observation.now
        load = self._load.of(observation)
        ready = max(1, load.ready)
        self._stable = self._stable.see(now, load.pods, STABLE_SECONDS)
        self._panic = self._panic.see(now, load.pods, PANIC_SECONDS)
        stable = self._pods(self._stable.over(now, STABLE_SECONDS), ready)
        panic = self._pods(self._panic.over(now, PANIC_SECONDS), ready)
        raw = math.ceil(self._panic.over(now, PANIC_SECONDS) / self._bounds.target - 1e-6)
        self._judge(now, raw / ready >= PANIC_THRESHOLD)
        wish = stable
        if self._panic_at is not None:
            self._panic_pods = max(self._panic_pods, stable, panic)
            wish = self._panic_pods
        if not load.is_nothing or observation.held:
            self._busy_at = now
        self._wishes = self._wishes.see(now, wish, self._down_delay)
        return self._within(self._wishes.over(now, self._down_delay), now, observation)

    def _judge(self, now: float, is_over: bool) -> None:
        if is_over:
            self._panic_at = now
        elif self._panic_at is not None and now - self._panic_at > STABLE_SECONDS:
            self._panic_at, self._panic_pods = None, 0

    def _pods(self, load: float, ready: int) -> int:
        wish = math.ceil(load / self._bounds.target - 1e-6)
        return int(max(math.floor(ready / MOST_DOWN), min(math.ceil(MOST_UP * ready), wish)))

    def _within(self, wish: int, now: float, observation: Observation) -> int:
        silent = now - self._busy_at >= STABLE_SECONDS + GRACE_SECONDS
        least = self._bounds.least if silent and observation.current else max(1, self._bounds.least)
        if observation.current == 0 and not observation.held:
            least = self._bounds.least
        if silent and least == 0:
            wish = 0
        return max(least, min(self._bounds.most, wish))
