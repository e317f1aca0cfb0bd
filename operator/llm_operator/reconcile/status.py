"""World -> `status`: one writer, one patch, only what differs. Pure."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from llm_operator.api.conditions import Condition, moment, timestamp, with_history
from llm_operator.reconcile import export_state as exports
from llm_operator.reconcile import rollout_status, scaling_status, verdicts
from llm_operator.reconcile.policies import Refusal
from llm_operator.reconcile.situation import (
    Situation,
    count,
    live_deployments,
    wanted_replicas,
)
from llm_operator.reconcile.world import Manifest, World
from llm_operator.render import labels, names

PROGRESS_INTERVAL = timedelta(seconds=2)
"""Bytes alone change the status no more often than this."""

_STATE_OF_STEP = {
    "fetch": "Downloading",
    "export": "Exporting",
    "verify": "Verifying",
    "push": "Pushing",
}

Status = dict[str, Any]


def of_situation(situation: Situation) -> Status:
    """The whole status of an accepted object."""
    world, spec = situation.world, situation.spec
    port, name = spec.service.port, world.deployment.name
    host = f"{names.service(name)}.{world.deployment.namespace}.svc"
    return _without_none(
        {
            **_head(world, verdicts.of_situation(situation)),
            **_counts(world, situation.deployments, situation.wanted),
            "phase": _phase(situation),
            "updatedReplicas": _updated(situation),
            "currentRevision": situation.hash8,
            "stableRevision": situation.stable,
            "model": _model(situation),
            "autoscaling": scaling_status.of_situation(situation),
            "rollout": rollout_status.of_situation(situation),
            "address": {"grpc": f"{host}:{port}"},
        }
    )


def of_refusal(world: World, refusal: Refusal) -> Status:
    """Counts of what runs; the rest stays as it was: nothing is done for this generation."""
    spec, before = world.deployment.spec, world.deployment.status
    told = int(before.get("desiredReplicas") or 0)
    wanted = wanted_replicas(world, spec) if spec is not None else told
    return {
        **before,
        **_head(world, verdicts.of_refusal(refusal)),
        **_counts(world, live_deployments(world), wanted),
        "phase": "Failed" if refusal.status == "False" else "Pending",
    }


def patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch on the status subresource, or None where nothing differs."""
    difference = _merge_patch(before, after)
    return {"status": difference} if difference else None


def failed_attempts(situation: Situation) -> int:
    """Exports with the current key that failed so far."""
    if isinstance(situation.export, exports.Failed):
        return situation.export.attempts
    return int((_last_failure(situation) or {}).get("attempts") or 0)


def _head(world: World, conditions: list[Condition]) -> Status:
    stored = world.deployment.status.get("conditions") or ()
    generation = world.deployment.generation
    return {
        "observedGeneration": generation,
        "conditions": with_history(conditions, stored, generation=generation, now=world.now),
    }


def _counts(world: World, deployments: Mapping[str, Manifest], wanted: int) -> Status:
    def total(field: str) -> int:
        return sum(count(deployment, field) for deployment in deployments.values())

    replicas = total("replicas")
    return {
        "replicas": replicas,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": total("availableReplicas"),
        "desiredReplicas": wanted,
        "scaleReplicas": min(replicas, wanted),
        "selector": labels.as_query(labels.selector(world.deployment.name, "runtime")),
    }


def _updated(situation: Situation) -> int:
    deployment = situation.deployments.get(situation.hash8)
    return count(deployment, "replicas") if deployment is not None else 0


def _phase(situation: Situation) -> str:
    if verdicts.is_stalled(situation):
        return "Failed"
    if situation.wanted == 0 and (situation.target is not None or situation.spec.suspend):
        return "Suspended" if situation.spec.suspend else "Idle"
    if situation.target is None:
        return _model_state(situation)
    if situation.is_target_complete:
        return "Running"
    has_old = set(situation.deployments) > {situation.hash8}
    return "Updating" if has_old else "Starting"


def _model(situation: Situation) -> Status:
    artifact = situation.target.artifact if situation.target is not None else None
    found: Status = {
        "source": situation.spec.model.source.resolve().display,
        "state": _model_state(situation),
        "progress": _progress(situation),
        "lastFailure": None if situation.target is not None else _failure(situation),
    }
    if artifact is not None:
        found["resolvedRevision"] = artifact.resolved_revision or None
        found["artifactDigest"] = artifact.digest
        found["sizeBytes"] = artifact.size_bytes
        found["precision"] = artifact.precision or None
    return _without_none(found)


def _model_state(situation: Situation) -> str:
    if situation.target is not None:
        if situation.target_fleet.available:
            return "Loaded"
        return "Loading" if any(situation.pods_of(situation.hash8)) else "Stored"
    match situation.export:
        case exports.Failed():
            return "Failed"
        case exports.Running(step=str(step)):
            return _STATE_OF_STEP[step]
    return "Pending"


def _progress(situation: Situation) -> Status | None:
    """What the export pod told last; told again only when it moved and some time has passed."""
    export = situation.export
    if situation.target is not None or not isinstance(export, exports.Running):
        return None
    before = (situation.world.deployment.status.get("model") or {}).get("progress")
    told = export.progress
    if told is None:
        return before if export.step is not None else None
    now = situation.world.now
    figures = {"bytes": told.bytes_done, "totalBytes": told.bytes_total or None}
    figures = _without_none({**figures, "etaSeconds": told.eta_seconds})
    if before and _is_recent_or_same(before, figures, now - PROGRESS_INTERVAL):
        return dict(before)
    return {**figures, "time": timestamp(now)}


def _is_recent_or_same(before: Mapping[str, Any], figures: Status, since: Any) -> bool:
    is_same = {key: value for key, value in before.items() if key != "time"} == figures
    return is_same or moment(before["time"]) > since


def _failure(situation: Situation) -> Status | None:
    failed = situation.export
    if not isinstance(failed, exports.Failed):
        return _last_failure(situation)
    return _without_none(
        {
            "reason": str(failed.reason),
            "message": failed.message,
            "exitCode": failed.exit_code,
            "time": timestamp(failed.time),
            "exportKey": situation.key8,
            "attempts": failed.attempts,
        }
    )


def _last_failure(situation: Situation) -> Status | None:
    """The failure on record, if it is of the export that the spec asks for now."""
    before = situation.world.deployment.status.get("model") or {}
    failure: Status | None = before.get("lastFailure")
    return failure if failure and failure.get("exportKey") == situation.key8 else None


def _without_none(fields: Mapping[str, Any]) -> Status:
    return {key: value for key, value in fields.items() if value is not None}


def _merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Status:
    """RFC 7386: null removes, lists are replaced whole.

    >>> _merge_patch({"a": 1, "b": {"c": 1}}, {"b": {"d": 2}})
    {'b': {'d': 2, 'c': None}, 'a': None}
    """
    changed: Status = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if nested := _merge_patch(old, value):
                changed[key] = nested
        elif value != old:
            changed[key] = value
    return changed | {key: None for key in before if key not in after}
