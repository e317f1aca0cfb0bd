"""What the autoscaler answers, and how it says why."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.reason import ConditionReason, DecisionReason


@dataclass(frozen=True, slots=True)
class Condition:
    """AutoscalingActive: False only where the autoscaler is blind."""

    is_true: bool
    reason: ConditionReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many pods there should be, and why."""

    desired: int
    reason: DecisionReason
    message: str
    """One sentence; it stays as it is while `desired` and `reason` do."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What it was decided on; stays as `message` does."""
    memory: Memory
    look_again: float | None = None
    """Seconds until the same world may lead to another decision; None: only news can."""
    condition: Condition
    startup_seconds_p90: float | None = None
