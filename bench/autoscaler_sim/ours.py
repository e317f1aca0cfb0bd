"""The real `decide`, with the defaults of the spec where nothing else is asked for."""

from bench.autoscaler_sim.scaler import Bounds
from llm_operator.api.llmdeployment import AutoscalingSpec, TargetsSpec
from llm_operator.autoscale.decide import Decision, Limits, Memory, decide
from llm_operator.autoscale.observation import Observation

CAPACITY_TIMEOUT_SECONDS = 900.0


class Tokens:
    """LLMDeployment's autoscaler."""

    period = 1.0
    """Pods report up to twice as often."""

    def __init__(self, bounds: Bounds, initial: int) -> None:
        """Starts as a fresh leader does."""
        self._spec = AutoscalingSpec(
            min_replicas=bounds.least,
            max_replicas=bounds.most,
            targets=TargetsSpec(utilization=round(100 * bounds.target)),
        )
        self._limits = Limits(capacity_timeout=CAPACITY_TIMEOUT_SECONDS)
        self._memory = Memory.after_restart(initial, 0.0)
        self.decisions: list[tuple[float, Decision]] = []

    def decide(self, observation: Observation) -> int:
        """Pods that there should be."""
        decision = decide(observation, self._memory, self._spec, self._limits)
        self._memory = decision.memory
        if decision.desired != observation.current:
            self.decisions.append((observation.now, decision))
        return decision.desired
