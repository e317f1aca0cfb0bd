"""What the autoscaler answers, and how it says why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_operator.autoscale.memory import Memory


class DecisionReason(StrEnum):
    """Why that many pods are wanted."""

    STEADY = "Steady"
    # Reasons of a change
    DEMAND_ROSE = "DemandRose"
    BURST = "Burst"
    CALLS_HELD = "CallsHeld"
    LATENCY = "LatencyAboveTarget"
    MINIMUM = "Minimum"
    SCHEDULE = "Schedule"
    ROLLOUT = "Rollout"
    DEMAND_FELL = "DemandFell"
    MAXIMUM = "Maximum"
    IDLE = "Idle"
    # Reasons to keep what there is although the load says otherwise
    AT_MAXIMUM = "AtMaximum"
    CAPACITY_LIMITED = "CapacityLimited"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    NO_POD_READY = "NoPodReady"
    AFTER_BURST = "AfterBurst"
    QUEUE_HOLDS = "QueueHolds"
    STABILIZING = "Stabilizing"
    LATENCY_HOLDS = "LatencyHolds"
    POLICY_HOLDS = "PolicyHolds"
    ROLLOUT_HOLDS = "RolloutHolds"


class ConditionReason(StrEnum):
    """Reasons of the condition AutoscalingActive that follow from a decision."""

    SCALING_ACTIVE = "ScalingActive"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    AT_MAXIMUM = "AtMaximum"
    CAPACITY_LIMITED = "CapacityLimited"


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
    memory: "Memory"
    look_again: float | None = None
    """Seconds until the same world may lead to another decision; None: only news can."""
    condition: Condition
    startup_seconds_p90: float | None = None
