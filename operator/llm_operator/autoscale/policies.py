"""How far one step may go: HorizontalPodAutoscaler's policies, looked back on. Pure.

Source: calculateScaleUpLimitWithScalingRules and calculateScaleDownLimitWithBehaviors of
Kubernetes' pkg/controller/podautoscaler/horizontal.go.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llm_operator.api.llmdeployment import ScalingPolicy

MOST_CHANGES = 64
"""Changes remembered; of more, the two oldest count as one made at the later time."""


@dataclass(frozen=True, slots=True)
class Change:
    """The count went up (or down) by so much."""

    at: float
    by: int


def remember(
    changes: tuple[Change, ...], change: Change, policies: Sequence[ScalingPolicy]
) -> tuple[Change, ...]:
    """The changes that some policy still looks back on, with the new one."""
    longest = max((policy.period_seconds for policy in policies), default=0)
    kept = (*(c for c in changes if c.at > change.at - longest), change)
    if len(kept) > MOST_CHANGES:
        kept = (Change(kept[1].at, kept[0].by + kept[1].by), *kept[2:])
    return kept if longest else ()


def highest(
    current: int, now: float, changes: Sequence[Change], policies: Sequence[ScalingPolicy]
) -> int | None:
    """The most pods that the policies allow now; None where there is no policy.

    Worked example: 4 pods, two of them since 10 s, policy 100 % in 15 s: 4 may become 4 (2 * 2).
    """
    allowed = [_grown(_before(current, now, changes, policy), policy) for policy in policies]
    return max(current, *allowed) if allowed else None


def lowest(
    current: int, now: float, changes: Sequence[Change], policies: Sequence[ScalingPolicy]
) -> int | None:
    """The fewest pods that the policies allow now; None where there is no policy."""
    allowed = [_shrunk(_before(current, now, changes, policy), policy) for policy in policies]
    return max(0, min(current, *allowed)) if allowed else None


def frees_at(
    now: float, changes: Sequence[Change], policies: Sequence[ScalingPolicy]
) -> float | None:
    """When the next change leaves a policy's period."""
    ends = (change.at + p.period_seconds for change in changes for p in policies)
    return min((end for end in ends if end > now), default=None)


def _before(current: int, now: float, changes: Sequence[Change], policy: ScalingPolicy) -> int:
    """The count at the start of the policy's period."""
    return current - sum(c.by for c in changes if c.at > now - policy.period_seconds)


def _grown(start: int, policy: ScalingPolicy) -> int:
    if policy.type == "Pods":
        return start + policy.value
    return math.ceil(start * (100 + policy.value) / 100)


def _shrunk(start: int, policy: ScalingPolicy) -> int:
    if policy.type == "Pods":
        return start - policy.value
    return math.floor(start * max(0, 100 - policy.value) / 100)
