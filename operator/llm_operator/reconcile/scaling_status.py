"""`status.autoscaling`: what was decided, on what, and when it last changed. Pure.

Figures that move all the time are not in it: inputs and message are written when the number or its
reason changes, so that a converged object stays silent.
"""

from collections.abc import Mapping
from typing import Any

from llm_operator.api.conditions import timestamp
from llm_operator.reconcile.situation import Situation

HISTORY = 5


def of_situation(situation: Situation) -> dict[str, Any] | None:
    """The block, or None where nothing scales by itself."""
    decision = situation.world.decision
    if situation.spec.autoscaling is None or decision is None:
        return None
    before = situation.world.deployment.status.get("autoscaling") or {}
    now = timestamp(situation.world.now)
    after = {
        **before,
        "desiredReplicas": decision.desired,
        "reason": str(decision.reason),
    }
    if not _is_same(before, after):
        after |= {"message": decision.message, "inputs": dict(decision.inputs)}
    if before.get("desiredReplicas") not in (None, decision.desired):
        change = {
            "time": now,
            "from": before["desiredReplicas"],
            "to": decision.desired,
            "reason": str(decision.reason),
            "message": decision.message,
        }
        after |= {"lastScaleTime": now, "history": [change, *before.get("history", ())][:HISTORY]}
    if decision.startup_seconds_p90 is not None:
        after["startupSecondsP90"] = round(decision.startup_seconds_p90)
    return after


def _is_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(before.get(field) == after[field] for field in ("desiredReplicas", "reason"))
