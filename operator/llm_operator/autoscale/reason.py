"""Why a number of pods is wanted, in one word."""

from enum import StrEnum


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
