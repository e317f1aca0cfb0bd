"""Situation -> `status.rollout`: how far a new revision is, and who gets which share of the calls.
Pure."""

from collections.abc import Mapping
from typing import Any

from llm_operator.api.conditions import timestamp
from llm_operator.reconcile import verdicts
from llm_operator.reconcile.canary import Canary, is_verified, step_hash
from llm_operator.reconcile.situation import Situation

PAUSE_REASON = "CanaryPauseStep"


def of_situation(situation: Situation) -> Mapping[str, Any]:
    """The whole of it. `weights` is the one value that clients and routes are made from."""
    found = {
        "phase": _phase(situation),
        "weights": _weights(situation),
        "clientRefusal": situation.world.clients.refusal or None,
    }
    if situation.canary is not None:
        found |= _steps(situation.canary)
    else:
        found |= _kept(situation)
    return {key: value for key, value in found.items() if value is not None}


def _phase(situation: Situation) -> str | None:
    if situation.target is None:
        return None
    canary = situation.canary
    if canary is not None and canary.abort is not None:
        return "Aborting" if canary.pods else "RolledBack"
    if _kept(situation).get("abort"):
        return "RolledBack"
    if verdicts.has_missed_deadline(situation):
        return "Stalled"
    if canary is not None and canary.pause is not None:
        return "Paused"
    return "Progressing" if verdicts.is_rolling_out(situation) else "Complete"


def _weights(situation: Situation) -> Mapping[str, Any] | None:
    shares = situation.shares
    if not shares:
        return None
    return {
        "shares": [
            {"revision": revision, "percent": percent} for revision, percent in shares.items()
        ],
        "canaryPercent": shares.get(situation.hash8, 0),
        "verified": is_verified(situation.world, shares),
    }


def _steps(canary: Canary) -> dict[str, Any]:
    progress = canary.progress
    pause, shortage, abort = None, progress.shortage, None
    if progress.paused_since is not None:
        pause = {"reason": PAUSE_REASON, "startTime": timestamp(progress.paused_since)}
    if progress.abort is not None:
        abort = {
            "reason": progress.abort.failure.reason,
            "message": progress.abort.failure.message,
            "time": timestamp(progress.abort.at),
            "revision": canary.revision,
        }
    return {
        "stepIndex": progress.step,
        "stepHash": step_hash(canary.steps),
        "pause": pause,
        "shortage": shortage
        and {"available": shortage.available, "since": timestamp(shortage.since)},
        "abort": abort,
        "lastAction": progress.last_action,
    }


def _kept(situation: Situation) -> dict[str, Any]:
    """What outlasts a canary: the command that was seen, while it stands; and at zero, where there
    is none, that the revision was taken back."""
    before, action = situation.world.deployment.status, situation.world.deployment.rollout_action
    rollout = before.get("rollout") or {}
    kept = {"lastAction": action if action == rollout.get("lastAction") else None}
    is_same = before.get("currentRevision") == situation.hash8
    if not situation.wanted and is_same and rollout.get("abort"):
        kept |= {key: rollout.get(key) for key in ("stepIndex", "stepHash", "abort")}
    return kept
