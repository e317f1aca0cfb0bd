"""Events: one for each transition, read off the status before and after. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from llm_operator.api.conditions import ConditionType, Reason
from llm_operator.autoscale.reason import DecisionReason
from llm_operator.drain.victims import DRAINED_COST
from llm_operator.reconcile.actions import Apply, Cost, Event, Write
from llm_operator.reconcile.difference import has_drifted
from llm_operator.reconcile.world import World
from llm_operator.rollout.canary import Command

_STARTED = {
    Reason.EXPORTING: "ExportStarted",
    Reason.STORED: "ExportCompleted",
}
_ON_THE_WAY = frozenset(
    {Reason.DOWNLOADING, Reason.EXPORTING, Reason.VERIFYING, Reason.PUSHING, Reason.STORED}
)
_DOWNLOAD_FAILURES = frozenset(
    {
        Reason.FILE_NOT_FOUND,
        Reason.SOURCE_UNREACHABLE,
        Reason.DOWNLOAD_FAILED,
        Reason.CHECKSUM_MISMATCH,
        Reason.AUTH_FAILED,
    }
)

Stored = Mapping[str, Any]


def of_transition(world: World, after: Stored, writes: tuple[Write, ...]) -> tuple[Event, ...]:
    """What to tell about the step from the stored status to `after`."""
    before = world.deployment.status
    return (
        *_of_acceptance(before, after),
        *_of_model(before, after),
        *_of_capacity(before, after),
        *_of_rollout(before, after),
        *_of_canary(before, after),
        *_of_clients(before, after),
        *_of_scale(before, after),
        *_of_autoscaling(before, after),
        *_of_writes(world, writes),
    )


def _condition(status: Stored, kind: ConditionType) -> Stored:
    found = status.get("conditions") or ()
    return next((condition for condition in found if condition["type"] == kind), {})


def _changed(before: Stored, after: Stored, kind: ConditionType) -> Stored | None:
    """The condition as it is now, where its status or reason is another than before."""
    old, new = _condition(before, kind), _condition(after, kind)
    if not new or all(old.get(field) == new[field] for field in ("status", "reason")):
        return None
    return new


def _of_acceptance(before: Stored, after: Stored) -> Iterator[Event]:
    changed = _changed(before, after, ConditionType.ACCEPTED)
    if changed is not None and changed["status"] == "False":
        yield _warning("InvalidSpec", changed)


def _of_model(before: Stored, after: Stored) -> Iterator[Event]:
    changed = _changed(before, after, ConditionType.MODEL_READY)
    if changed is None:
        return
    reason, model = changed["reason"], after.get("model") or {}
    if reason not in _ON_THE_WAY:
        is_download = reason in _DOWNLOAD_FAILURES
        yield _failure("ModelDownloadFailed" if is_download else "ExportFailed", changed, model)
    elif reason == Reason.DOWNLOADING:
        yield Event("Normal", "ModelDownloadStarted", f"fetching {model.get('source')}")
    elif (name := _STARTED.get(reason)) is not None:
        yield Event("Normal", name, changed["message"])


def _failure(name: str, changed: Stored, model: Stored) -> Event:
    """Without the time of the next attempt, so that equal failures become one series."""
    message = (model.get("lastFailure") or {}).get("message") or changed["message"]
    return _warning(name, {**changed, "message": message})


def _of_capacity(before: Stored, after: Stored) -> Iterator[Event]:
    changed = _changed(before, after, ConditionType.CAPACITY_AVAILABLE)
    if changed is not None and changed["status"] == "False":
        yield _warning("InsufficientCapacity", changed)


def _of_rollout(before: Stored, after: Stored) -> Iterator[Event]:
    changed = _changed(before, after, ConditionType.PROGRESSING)
    if changed is None:
        return
    if changed["reason"] == Reason.ROLLOUT_COMPLETE:
        yield Event("Normal", "RolloutCompleted", changed["message"])
    elif changed["status"] == "False" and changed["reason"] != Reason.ROLLED_BACK:
        yield _warning("RolloutStalled", changed)


def _of_canary(before: Stored, after: Stored) -> Iterator[Event]:
    old, new = before.get("rollout") or {}, after.get("rollout") or {}
    revision, is_same = after.get("currentRevision"), _is_same_canary(before, after)
    yield from _of_command(old if is_same else {}, new)
    yield from _of_abort(before, after)
    if is_same and new["stepIndex"] > old["stepIndex"]:
        message = f"revision {revision}: step {new['stepIndex']} is done"
        yield Event("Normal", "StepCompleted", message)
    if (sentence := _shares(new)) and sentence != _shares(old):
        yield Event("Normal", "WeightChanged", f"calls are shared: {sentence}", action="Share")
    if new.get("phase") == "Paused" and (old.get("phase") != "Paused" or not is_same):
        progressing = _condition(after, ConditionType.PROGRESSING)
        yield Event("Normal", "RolloutPaused", str(progressing.get("message")))


def _of_command(old: Stored, new: Stored) -> Iterator[Event]:
    """Of one that was obeyed; an abort tells of itself."""
    action = str(new.get("lastAction") or "")
    if not action or action == old.get("lastAction") or new.get("abort"):
        return
    if action.startswith(Command.RETRY):
        if old.get("abort"):
            message = f"{action}: once more from the first step"
            yield Event("Normal", "RolloutRetried", message, action="Retry")
    elif new.get("stepIndex", 0) > old.get("stepIndex", 0):
        yield Event("Normal", "RolloutPromoted", f"{action}: on", action="Promote")


def _of_abort(before: Stored, after: Stored) -> Iterator[Event]:
    old, new = before.get("rollout") or {}, after.get("rollout") or {}
    abort, revision = new.get("abort") or {}, after.get("currentRevision")
    if abort and abort != old.get("abort"):
        message = f"revision {revision} is taken back: {abort['message']}"
        yield Event("Warning", "RolloutAborted", f"{abort['reason']}: {message}", action="Abort")
    if new.get("phase") == "RolledBack" and old.get("phase") != "RolledBack":
        message = f"revision {after.get('stableRevision')} has every call; {revision} has no pods"
        yield Event("Warning", "RolledBack", message, action="Abort")


def _is_same_canary(before: Stored, after: Stored) -> bool:
    old, new = before.get("rollout") or {}, after.get("rollout") or {}
    return (
        "stepHash" in old
        and old["stepHash"] == new.get("stepHash")
        and before.get("currentRevision") == after.get("currentRevision")
    )


def _shares(rollout: Stored) -> str:
    told = (rollout.get("weights") or {}).get("shares") or ()
    return ", ".join(f"{share['percent']} % to revision {share['revision']}" for share in told)


def _of_clients(before: Stored, after: Stored) -> Iterator[Event]:
    old = (before.get("rollout") or {}).get("clientRefusal")
    new = (after.get("rollout") or {}).get("clientRefusal")
    if new and new != old:
        message = f"a client refuses what it is told and goes on with what it had: {new}"
        yield Event("Warning", "TrafficConfigRejected", message, action="Share")


def _of_scale(before: Stored, after: Stored) -> Iterator[Event]:
    old, new = before.get("desiredReplicas"), after.get("desiredReplicas")
    if old is None or new is None or old == new:
        return
    name = "ScaledUp" if new > old else "ScaledDown"
    if _is_zero_by_itself(after) and new == 0:
        name = "ScaledToZero"
    elif _is_zero_by_itself(before) and old == 0 and _is_called(after):
        name = "Activated"
    yield Event("Normal", name, _scale_sentence(old, new, after), action="Scale")


def _is_zero_by_itself(status: Stored) -> bool:
    return (status.get("autoscaling") or {}).get("desiredReplicas") == 0


def _is_called(status: Stored) -> bool:
    """Whether a call asked for the number: a schedule or a raised minimum may do so, too."""
    return (status.get("autoscaling") or {}).get("reason") == DecisionReason.CALLS_HELD


def _scale_sentence(old: int, new: int, after: Stored) -> str:
    """The autoscaler's own sentence, if it is about this step: it may have gone on since."""
    scaling = after.get("autoscaling") or {}
    if scaling.get("desiredReplicas") != new:
        return f"Scaled from {old} to {new} pods: the spec asks for it."
    latest: Stored = next(iter(scaling.get("history") or ()), {})
    if (latest.get("from"), latest.get("to")) == (old, new):
        return str(latest["message"])
    return f"Scaled from {old} to {new} pods, the number that the autoscaler wants."


def _of_autoscaling(before: Stored, after: Stored) -> Iterator[Event]:
    changed = _changed(before, after, ConditionType.AUTOSCALING_ACTIVE)
    if changed is None:
        return
    if changed["reason"] == Reason.AUTOSCALER_CONFLICT:
        yield _warning("ConflictDetected", changed)
    elif changed["reason"] in (Reason.METRICS_UNAVAILABLE, Reason.CAPACITY_LIMITED):
        yield _warning("AutoscalingLimited", changed)
    elif changed["reason"] == Reason.AT_MAXIMUM:
        yield Event("Normal", "AutoscalingLimited", f"{changed['reason']}: {changed['message']}")


def _of_writes(world: World, writes: tuple[Write, ...]) -> Iterator[Event]:
    for write in writes:
        match write:
            case Apply():
                yield from _of_apply(world, write)
            case Cost(cost=cost) if cost == DRAINED_COST:
                yield from _of_drained(world, write)


def _of_apply(world: World, write: Apply) -> Iterator[Event]:
    kind, name = write.manifest["kind"], write.manifest["metadata"]["name"]
    live = world.child(kind, name)
    if live is None and kind == "ControllerRevision":
        yield Event("Normal", "RevisionCreated", f"revision {name}", action="Create")
    elif live is not None and has_drifted(write.manifest, live):
        message = f"{kind} {name} had been changed and was set back"
        yield Event("Warning", "DriftCorrected", message, action="Apply")


def _of_drained(world: World, write: Cost) -> Iterator[Event]:
    """A pod is pointed at once, when its drain is over: that is when to tell how it went."""
    load, spec = world.loads.get(write.uid), world.deployment.spec
    if load is None or spec is None or not load.cut_off:
        return
    answers = "1 request" if load.cut_off == 1 else f"{load.cut_off} requests"
    message = (
        f"pod {write.pod} drained for drain.timeoutSeconds ({spec.drain.timeout_seconds} s); "
        f"{answers} that still ran got the text so far as their answer"
    )
    yield Event("Warning", "DrainTimedOut", message, action="Drain")


def _warning(name: str, condition: Stored) -> Event:
    kind: Literal["Warning"] = "Warning"
    return Event(kind, name, f"{condition['reason']}: {condition['message']}")
