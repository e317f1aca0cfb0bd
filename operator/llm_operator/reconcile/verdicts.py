"""Situation -> conditions, each with the sentence that an engineer needs at night. Pure.

Messages hold no figure that changes by itself (bytes, seconds left): a condition changes only when
something happened.
"""

from collections.abc import Iterator, Mapping

from llm_operator.api.conditions import (
    Condition,
    ConditionStatus,
    ConditionType,
    Reason,
    timestamp,
)
from llm_operator.api.llmdeployment import ROLLOUT_ACTION
from llm_operator.reconcile import export_state as exports
from llm_operator.reconcile import pods, route_verdict
from llm_operator.reconcile.canary import Canary
from llm_operator.reconcile.policies import Refusal
from llm_operator.reconcile.situation import Situation, count, render_template
from llm_operator.reconcile.world import Manifest
from llm_operator.rollout.canary import Abort, Command
from llm_operator.rollout.clients import have_accepted

STEP_REASON: Mapping[str, Reason] = {
    "fetch": Reason.DOWNLOADING,
    "export": Reason.EXPORTING,
    "verify": Reason.VERIFYING,
    "push": Reason.PUSHING,
}

STEP_SENTENCE: Mapping[str | None, str] = {
    None: "the export pod is being started",
    "fetch": "the source is being fetched",
    "export": "the model is being exported",
    "verify": "the export is being verified",
    "push": "the export is being pushed to the registry",
}

_CAPACITY_SIGNS = (
    ("nvidia.com/", Reason.INSUFFICIENT_GPU),
    ("/gpu", Reason.INSUFFICIENT_GPU),
    ("insufficient memory", Reason.INSUFFICIENT_MEMORY),
    ("insufficient cpu", Reason.INSUFFICIENT_CPU),
    ("too many pods", Reason.UNSCHEDULABLE),  # a node that would do is full, whatever others lack
    ("were unschedulable", Reason.UNSCHEDULABLE),  # or cordoned
    ("didn't match pod", Reason.NODE_SELECTOR_MISMATCH),
    ("untolerated taint", Reason.NODE_SELECTOR_MISMATCH),
)


def of_refusal(refusal: Refusal) -> list[Condition]:
    """Refused: nothing else is known of this generation."""
    accepted = Condition(ConditionType.ACCEPTED, refusal.status, refusal.reason, refusal.message)
    ready = Condition(ConditionType.READY, refusal.status, refusal.reason, refusal.message)
    is_over = refusal.status == "False"
    last = ConditionType.STALLED if is_over else ConditionType.RECONCILING
    return [accepted, ready, Condition(last, "True", refusal.reason, refusal.message)]


def of_situation(situation: Situation) -> list[Condition]:
    """All conditions that apply, the roll-up behind what it rolls up."""
    found = [
        Condition(ConditionType.ACCEPTED, "True", Reason.VALID, "the spec is valid"),
        *_model_ready(situation),
        *_capacity(situation),
        *_available(situation),
        *_progressing(situation),
        *_rollout_healthy(situation),
        *_autoscaling(situation),
        *route_verdict.of_situation(situation),
        *_outdated(situation),
    ]
    ready = _ready(situation, found)
    return [*found, ready, *_kstatus(situation, ready)]


# ModelReady


def _model_ready(situation: Situation) -> Iterator[Condition]:
    target = situation.target
    if target is not None:
        artifact = target.artifact
        size = f"{artifact.size_bytes / 2**20:.1f} MiB"
        message = f"{artifact.digest} ({size}, {artifact.precision}) is in the registry"
        yield Condition(ConditionType.MODEL_READY, "True", Reason.STORED, message)
    elif not situation.spec.suspend:
        reason, message = _export_state(situation)
        yield Condition(ConditionType.MODEL_READY, "False", reason, message)


def _export_state(situation: Situation) -> tuple[Reason, str]:
    match situation.export:
        case exports.Failed() as failed:
            return failed.reason, f"{failed.message} {_what_next(failed)}"
        case exports.Running(trouble=pods.Trouble() as trouble):
            return trouble.reason, trouble.message
        case exports.Running(step=step):
            return STEP_REASON.get(step or "", Reason.DOWNLOADING), STEP_SENTENCE[step]
    return Reason.DOWNLOADING, "the export Job is about to be made"


def _what_next(failed: exports.Failed) -> str:
    if failed.retry_at is None:
        return "(not tried again until spec.model changes or the export Job is deleted)"
    return f"(attempt {failed.attempts + 1} at {timestamp(failed.retry_at)})"


# CapacityAvailable


def _capacity(situation: Situation) -> Iterator[Condition]:
    kind = ConditionType.CAPACITY_AVAILABLE
    if (quota := _quota_message(situation)) is not None:
        yield Condition(kind, "False", Reason.QUOTA_EXCEEDED, quota)
        return
    waiting = [message for _, message in _unschedulable(situation)]
    if waiting:
        reason = _capacity_reason(waiting[0])
        message = f"{len(waiting)} pods find no node: {pods.excerpt(waiting[0])}"
        yield Condition(kind, "False", reason, message)
    elif any(situation.pods_of()):
        yield Condition(kind, "True", Reason.SCHEDULED, "every pod has its node")


def _unschedulable(situation: Situation) -> Iterator[tuple[Manifest, str]]:
    for pod in situation.pods_of():
        if (message := pods.unschedulable_message(pod)) is not None:
            yield pod, message


def _capacity_reason(message: str) -> Reason:
    text = message.lower()
    found = (reason for sign, reason in _CAPACITY_SIGNS if sign in text)
    return next(found, Reason.UNSCHEDULABLE)


def _refused_pods_message(situation: Situation) -> str | None:
    """Why the API server makes no pods of the target."""
    deployment = situation.deployments.get(situation.hash8)
    failure = _deployment_condition(deployment, "ReplicaFailure")
    if failure is None or failure["status"] != "True":
        return None
    return f"pods cannot be made: {pods.excerpt(str(failure.get('message') or ''))}"


def _quota_message(situation: Situation) -> str | None:
    message = _refused_pods_message(situation)
    return message if message is not None and "exceeded quota" in message else None


def _deployment_condition(deployment: Manifest | None, kind: str) -> Mapping[str, str] | None:
    found = ((deployment or {}).get("status") or {}).get("conditions") or ()
    return next((condition for condition in found if condition["type"] == kind), None)


# Available


def _available(situation: Situation) -> Iterator[Condition]:
    kind, wanted = ConditionType.AVAILABLE, situation.wanted
    available = sum(count(d, "availableReplicas") for d in situation.deployments.values())
    figures = f"{available} of {wanted} pods available"
    if wanted == 0:
        message = "no pod is wanted: spec.replicas is 0 or spec.suspend is true"
        if situation.is_scaled_to_zero:
            message = "idle: the activator holds the next call and a pod starts for it"
        yield Condition(kind, "False", Reason.SCALED_TO_ZERO, message)
    elif available >= wanted:
        yield Condition(kind, "True", Reason.MINIMUM_REPLICAS_AVAILABLE, figures)
    elif (trouble := _trouble(situation)) is not None:
        yield Condition(kind, "False", trouble.reason, f"{figures}: {trouble.message}")
    else:
        yield Condition(kind, "False", Reason.STARTING, figures)


def _trouble(situation: Situation) -> pods.Trouble | None:
    """The first trouble of a pod of the revision that the spec asks for."""
    if (refused := _refused_pods_message(situation)) is not None:
        is_quota = "exceeded quota" in refused
        return pods.Trouble(Reason.QUOTA_EXCEEDED if is_quota else Reason.POD_REFUSED, refused)
    timeout = situation.spec.rollout.startup_timeout_seconds
    for pod in sorted(situation.pods_of(situation.hash8), key=lambda p: str(p["metadata"]["name"])):
        if not pods.is_ready(pod) and (found := pods.trouble_of(pod, timeout)) is not None:
            return pods.Trouble(found.reason, f"pod {pod['metadata']['name']}: {found.message}")
    return None


# Progressing


def is_rolling_out(situation: Situation) -> bool:
    """Whether a revision is on its way in; a pod that falls over later is no rollout."""
    if situation.target is None:
        return False
    is_alone = set(situation.deployments) <= {situation.hash8}
    return situation.stable != situation.hash8 or not (is_alone or situation.is_target_complete)


def has_missed_deadline(situation: Situation) -> bool:
    """Whether the rollout made no progress for `rollout.progressDeadlineSeconds`."""
    progress = _deployment_condition(situation.deployments.get(situation.hash8), "Progressing")
    is_late = progress is not None and progress.get("reason") == "ProgressDeadlineExceeded"
    return is_late and is_rolling_out(situation)


def _progressing(situation: Situation) -> Iterator[Condition]:
    kind = ConditionType.PROGRESSING
    if situation.target is None:
        return
    abort = situation.abort
    if abort is not None:
        yield Condition(kind, "False", Reason.ROLLED_BACK, _rolled_back(situation, abort))
    elif has_missed_deadline(situation):
        seconds = situation.spec.rollout.progress_deadline_seconds
        message = f"no progress for rollout.progressDeadlineSeconds ({seconds} s); "
        message += _rollout_figures(situation)
        yield Condition(kind, "False", Reason.PROGRESS_DEADLINE_EXCEEDED, message)
    elif situation.canary is not None and situation.canary.pause is not None:
        yield Condition(kind, "True", Reason.PAUSED, _canary_sentence(situation, situation.canary))
    elif is_rolling_out(situation):
        message = _rollout_figures(situation)
        if situation.canary is not None:
            message = _canary_sentence(situation, situation.canary)
        yield Condition(kind, "True", Reason.NEW_REVISION, message)
    else:
        message = f"revision {situation.hash8} has replaced all others"
        yield Condition(kind, "True", Reason.ROLLOUT_COMPLETE, message)


def _rolled_back(situation: Situation, abort: Abort) -> str:
    return (
        f"revision {situation.hash8} was taken back: {abort.failure.message}; revision "
        f"{situation.stable} serves. Change the spec, or try it again: "
        f"{_command(situation, Command.RETRY, situation.hash8)}"
    )


def _command(situation: Situation, command: Command, revision: str) -> str:
    name, action = situation.world.deployment.name, f"{command}@{revision}"
    written = f"kubectl annotate --overwrite llmd {name} {ROLLOUT_ACTION}={action}"
    if situation.world.deployment.rollout_action != action:
        return written
    return f"{written}, after it was taken away: kubectl annotate llmd {name} {ROLLOUT_ACTION}-"


def _rollout_healthy(situation: Situation) -> Iterator[Condition]:
    """Told of a revision that was taken back."""
    abort = situation.abort
    if abort is not None:
        # Another version of the operator may know reasons that this one does not.
        is_known = abort.failure.reason in set(Reason)
        reason = Reason(abort.failure.reason) if is_known else Reason.ABORTED
        yield Condition(ConditionType.ROLLOUT_HEALTHY, "False", reason, abort.failure.message)


def _rollout_figures(situation: Situation) -> str:
    available, wanted = situation.target_fleet.available, situation.wanted
    sentence = f"revision {situation.hash8}: {available} of {wanted} pods available"
    if situation.stable not in (None, situation.hash8):
        sentence += f"; revision {situation.stable} serves meanwhile"
    return sentence


def _canary_sentence(situation: Situation, canary: Canary) -> str:
    """Without the figure of a clock: the pause's start stands beside it in the status."""
    step = f"step {canary.progress.step + 1} of {len(canary.steps)}"
    if canary.progress.step >= len(canary.steps):
        step = "past the last step"
    share = f"revision {canary.revision} gets {canary.percent} % of the calls ({step})"
    return f"{share}: {_what_a_canary_waits_for(situation, canary)}"


def _what_a_canary_waits_for(situation: Situation, canary: Canary) -> str:
    pause = canary.pause
    if pause is not None and pause.seconds is None:
        command = _command(situation, Command.PROMOTE, canary.revision)
        return f"paused until it is promoted: {command}"
    if pause is not None:
        return f"paused for {pause.seconds} s"
    if not canary.has_pods:
        return f"{situation.target_fleet.available} of {canary.pods} pods available"
    if canary.is_verified or not situation.world.settings.has_xds:
        return "its pods take over"
    if not have_accepted(situation.world.clients.reports, canary.shares):
        return "clients are being told"
    return "the pods' counters do not show that share yet (calls that do not use xDS?)"


# AutoscalingActive


def _autoscaling(situation: Situation) -> Iterator[Condition]:
    """A rival writes spec.replicas, which the operator then does not read: both believe that they
    scale, so it is the first thing to say."""
    autoscaling, decision = situation.spec.autoscaling, situation.world.decision
    if autoscaling is None or decision is None:
        return
    kind, rival = ConditionType.AUTOSCALING_ACTIVE, situation.world.rival
    if rival is not None and autoscaling.mode == "Active":
        message = (
            f"{rival} scales this object as well, to no effect, because spec.autoscaling is given: "
            f"delete one of the two"
        )
        yield Condition(kind, "True", Reason.AUTOSCALER_CONFLICT, message)
    elif autoscaling.mode == "Advisory":
        message = f"would have {decision.desired} pods: {decision.message}"
        yield Condition(kind, "False", Reason.ADVISORY, message)
    else:
        status: ConditionStatus = "True" if decision.condition.is_true else "False"
        reason = Reason(decision.condition.reason)
        yield Condition(kind, status, reason, _told(situation, decision.message))


def _told(situation: Situation, message: str) -> str:
    """The sentence on record while number and reason stay: it was written with its figures."""
    decision = situation.world.decision
    before = situation.world.deployment.status.get("autoscaling") or {}
    is_same = decision is not None and (
        (before.get("desiredReplicas"), before.get("reason"))
        == (decision.desired, str(decision.reason))
    )
    return str(before.get("message") or message) if is_same else message


# RuntimeOutdated


def _outdated(situation: Situation) -> Iterator[Condition]:
    target = situation.target
    if target is None or not situation.is_target_on_record:
        return
    today = render_template(situation.world, situation.spec, target.hash8, target.artifact)
    if today == target.template:
        return
    message = (
        f"revision {target.hash8} was rendered by another version of the operator or with other "
        f"settings and runs as it was made; the next change of the pods' spec adopts today's"
    )
    yield Condition(ConditionType.RUNTIME_OUTDATED, "True", Reason.RENDERING_CHANGED, message)


# Ready, Reconciling, Stalled


def _ready(situation: Situation, found: list[Condition]) -> Condition:
    blocker = _blocker(situation, {condition.type: condition for condition in found})
    if blocker is not None:
        return Condition(ConditionType.READY, "False", *blocker)
    if situation.wanted == 0:
        message = _why_idle(situation)
        return Condition(ConditionType.READY, "True", Reason.IDLE, message)
    message = f"{situation.wanted} of {situation.wanted} pods serve revision {situation.hash8}"
    return Condition(ConditionType.READY, "True", Reason.SERVING, message)


def _why_idle(situation: Situation) -> str:
    if situation.spec.suspend:
        return "suspended"
    if situation.is_scaled_to_zero:
        return "scaled to zero; the next call brings a pod back"
    return "scaled to zero by spec.replicas"


def _blocker(
    situation: Situation, found: Mapping[ConditionType, Condition]
) -> tuple[Reason, str] | None:
    """Reason and message of the first thing that keeps this generation from being ready."""
    model = found.get(ConditionType.MODEL_READY)
    if model is not None and not model.is_true:
        return model.reason, model.message
    if situation.target is None or situation.is_target_complete:
        return None
    capacity = found.get(ConditionType.CAPACITY_AVAILABLE)
    if capacity is not None and not capacity.is_true:
        return capacity.reason, capacity.message
    if (trouble := _trouble(situation)) is not None:
        return trouble.reason, f"{_rollout_figures(situation)}; {trouble.message}"
    progressing = found[ConditionType.PROGRESSING]
    if progressing.reason == Reason.ROLLOUT_COMPLETE:
        return Reason.STARTING, _rollout_figures(situation)
    return progressing.reason, progressing.message


def _kstatus(situation: Situation, ready: Condition) -> Iterator[Condition]:
    """Exactly one of the two while there is something to wait for, none when there is not."""
    if ready.is_true:
        return
    kind = ConditionType.STALLED if is_stalled(situation) else ConditionType.RECONCILING
    yield Condition(kind, "True", ready.reason, ready.message)


def is_stalled(situation: Situation) -> bool:
    """Whether time alone will not help."""
    if situation.target is None:
        export = situation.export
        return isinstance(export, exports.Failed) and not export.is_retryable
    return situation.abort is not None or has_missed_deadline(situation)
