"""How far the export of a model is, read from its Job, its pod and the pod's own report. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from llm_operator.api.conditions import Reason, moment
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import ExportProgress, Manifest, World, controller_uid, uid_of
from llm_operator.render import names
from llm_operator.render.artifact import Artifact, artifact_from_result
from llm_operator.render.export_job import ATTEMPT

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)

RESULT_GRACE = timedelta(seconds=15)
"""How long a finished Job may wait for its pod's result: the two are watched apart."""

MOUNT_GRACE = timedelta(seconds=45)
"""How long volumes may take to be mounted before a missing one is suspected."""

STEP_REASON: Mapping[str, Reason] = {
    "fetch": Reason.DOWNLOADING,
    "export": Reason.EXPORTING,
    "verify": Reason.VERIFYING,
    "push": Reason.PUSHING,
}

_TOLD_REASONS = frozenset(
    {
        Reason.FILE_NOT_FOUND,
        Reason.SOURCE_UNREACHABLE,
        Reason.REGISTRY_UNAVAILABLE,
        Reason.PRE_EXPORTED_UNSUPPORTED,
        Reason.INSUFFICIENT_MEMORY,
        Reason.DOWNLOAD_FAILED,
        Reason.EXPORT_FAILED,
        Reason.UNSUPPORTED_ARCHITECTURE,
        Reason.CHECKSUM_MISMATCH,
        Reason.QUALITY_GATE_FAILED,
        Reason.AUTH_FAILED,
        Reason.NO_SPACE,
    }
)
"""What an export container may say."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no Job."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The Job is being deleted; its name is not free yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """The Job's pod works, or is about to, or cannot (`trouble`)."""

    step: str | None
    """None before the first container runs."""
    progress: ExportProgress | None = None
    trouble: pods.Trouble | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    artifact: Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    reason: Reason
    message: str
    is_retryable: bool
    exit_code: int | None
    time: datetime
    attempts: int
    """Jobs that failed so far, this one included."""

    @property
    def retry_at(self) -> datetime | None:
        """When to try again; None where time heals nothing."""
        return self.time + pause_after(self.attempts) if self.is_retryable else None


Export = Absent | Ending | Running | Succeeded | Failed


def pause_after(attempts: int) -> timedelta:
    """Doubles with each failure: 10 s, 20 s, … 10 min.

    >>> pause_after(3).total_seconds()
    40.0
    """
    doublings = min(max(attempts, 1) - 1, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def export_of(world: World, key8: str) -> Export:
    """The state of the export with that key."""
    job = world.child("Job", names.export_job(world.deployment.name, key8))
    if job is None or not world.owns(job):
        return Absent()
    if "deletionTimestamp" in job["metadata"]:
        return Ending()
    pod = _pod_of(world, job)
    if (finished := _finish_of(job)) is None:
        return _running(world, pod)
    has_succeeded, time = finished
    if has_succeeded:
        return _succeeded(world, job, pod, time)
    return _failed(job, pod, time)


def _pod_of(world: World, job: Manifest) -> Manifest | None:
    """The newest pod of this very Job (an older Job of that name may still have one)."""
    found = [pod for pod in world.pods if controller_uid(pod) == uid_of(job)]
    return max(found, key=lambda pod: pod["metadata"].get("creationTimestamp", ""), default=None)


def _finish_of(job: Manifest) -> tuple[bool, datetime] | None:
    """Whether it succeeded and when, or None while it runs."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return condition["type"] == "Complete", moment(condition["lastTransitionTime"])
    return None


def _running(world: World, pod: Manifest | None) -> Running:
    if pod is None:
        return Running(step=None)
    progress = world.export_progress
    if progress is not None and progress.pod_uid != uid_of(pod):
        progress = None
    return Running(_step_of(pod), progress, _obstacle(world, pod))


def _step_of(pod: Manifest) -> str | None:
    """The container that runs, or the last that ran."""
    ran = None
    for status in pods.container_statuses(pod):
        state = status.get("state") or {}
        if "running" in state:
            return str(status["name"])
        if "terminated" in state:
            ran = str(status["name"])
    return ran


def _succeeded(world: World, job: Manifest, pod: Manifest | None, time: datetime) -> Export:
    result = _result(pod, "push")
    if result is not None:
        try:
            return Succeeded(artifact_from_result(result))
        except ValueError as error:
            return _failure(job, time, Reason.EXPORT_FAILED, str(error))
    if world.now - time < RESULT_GRACE:
        return Running(step="push")
    lost = "the result of the export was lost with its pod"
    return _failure(job, time, Reason.EXPORT_FAILED, lost)


def _result(pod: Manifest | None, container: str) -> dict[str, Any] | None:
    for status in pods.container_statuses(pod) if pod is not None else ():
        ended = (status.get("state") or {}).get("terminated")
        if status["name"] == container and ended is not None:
            return pods.termination_result(ended)
    return None


def _failed(job: Manifest, pod: Manifest | None, time: datetime) -> Failed:
    if pod is None:
        return _failure(job, time, Reason.EXPORT_FAILED, "the export pod was lost with its node")
    if (evicted := _eviction(job, pod, time)) is not None:
        return evicted
    for status in pods.container_statuses(pod):
        ended = (status.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return _container_failure(job, status["name"], ended, time)
    message = str((pod.get("status") or {}).get("message") or "the export pod failed")
    return _failure(job, time, Reason.EXPORT_FAILED, pods.excerpt(message))


def _eviction(job: Manifest, pod: Manifest, time: datetime) -> Failed | None:
    status = pod.get("status") or {}
    if status.get("reason") != "Evicted":
        return None
    message = str(status.get("message") or "")
    is_memory = "memory" in message and "ephemeral" not in message
    reason = Reason.INSUFFICIENT_MEMORY if is_memory else Reason.NO_SPACE
    return _failure(job, time, reason, f"the export pod was evicted: {pods.excerpt(message)}")


def _container_failure(
    job: Manifest, step: str, ended: Mapping[str, Any], time: datetime
) -> Failed:
    code = int(ended["exitCode"])
    told = pods.termination_result(ended)
    if told is not None and told.get("ok") is False:
        return Failed(
            reason=_told_reason(told),
            message=pods.excerpt(str(told.get("message") or f"step {step} failed")),
            is_retryable=bool(told.get("retryable")),
            exit_code=code,
            time=time,
            attempts=attempt_of(job),
        )
    if ended.get("reason") == "OOMKilled":
        return _out_of_memory(job, step, code, time)
    tail = pods.excerpt(str(ended.get("message") or "no message"))
    message = f"step {step} ended with exit code {code}: {tail}"
    return _failure(job, time, Reason.EXPORT_FAILED, message, code)


def _out_of_memory(job: Manifest, step: str, code: int, time: datetime) -> Failed:
    """With a limit of its own only a higher one helps; without, the node may have room later."""
    limit = _memory_limit(job, step)
    message = f"step {step} was killed for memory: give it more than {limit or 'the node had free'}"
    return Failed(
        reason=Reason.INSUFFICIENT_MEMORY,
        message=f"{message}, in spec.model.export.resources.limits.memory",
        is_retryable=limit is None,
        exit_code=code,
        time=time,
        attempts=attempt_of(job),
    )


def _memory_limit(job: Manifest, step: str) -> str | None:
    pod = job["spec"]["template"]["spec"]
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        if container["name"] == step:
            limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            return None if limit is None else str(limit)
    return None


def _told_reason(told: Mapping[str, Any]) -> Reason:
    told_reason = told.get("reason")
    return next((r for r in _TOLD_REASONS if r == told_reason), Reason.EXPORT_FAILED)


def _failure(
    job: Manifest, time: datetime, reason: Reason, message: str, exit_code: int | None = None
) -> Failed:
    """What nobody explained may heal: it is tried again."""
    return Failed(
        reason=reason,
        message=message,
        is_retryable=True,
        exit_code=exit_code,
        time=time,
        attempts=attempt_of(job),
    )


def attempt_of(job: Manifest) -> int:
    annotations = job["metadata"].get("annotations") or {}
    text = str(annotations.get(ATTEMPT, "1"))
    return int(text) if text.isdigit() else 1


def _obstacle(world: World, pod: Manifest) -> pods.Trouble | None:
    if (unschedulable := pods.unschedulable_message(pod)) is not None:
        return _scheduling_obstacle(unschedulable)
    if (image := pods.image_trouble(pod)) is not None:
        return image
    return _mount_obstacle(world, pod)


def _scheduling_obstacle(message: str) -> pods.Trouble:
    text = message.lower()
    reason = Reason.UNSCHEDULABLE
    if "persistentvolumeclaim" in text and "not found" in text:
        reason = Reason.FILE_NOT_FOUND
    elif "volume" in text:
        reason = Reason.VOLUME_CONFLICT
    elif "insufficient memory" in text:
        reason = Reason.INSUFFICIENT_MEMORY
    return pods.Trouble(reason, f"no node can run the export pod: {pods.excerpt(message)}")


def _mount_obstacle(world: World, pod: Manifest) -> pods.Trouble | None:
    """A Secret or volume that is missing shows only in that no container ever starts."""
    ready = pods.condition(pod, "PodReadyToStartContainers")
    scheduled = pods.condition(pod, "PodScheduled")
    is_waiting = ready is not None and ready["status"] == "False" and _step_of(pod) is None
    if not is_waiting or scheduled is None or scheduled["status"] != "True":
        return None
    if world.now - moment(scheduled["lastTransitionTime"]) < MOUNT_GRACE:
        return None
    spec = world.deployment.spec
    if spec is not None and spec.model.credentials is not None:
        secret = spec.model.credentials.secret_ref.name
        sentence = f"the export pod waits for its volumes: does Secret {secret} exist?"
        return pods.Trouble(Reason.AUTH_FAILED, sentence)
    sentence = "the export pod waits for its volumes: is the claim used on another node?"
    return pods.Trouble(Reason.VOLUME_CONFLICT, sentence)
