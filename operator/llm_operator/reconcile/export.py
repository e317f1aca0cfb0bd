"""How far the export of a model is, read from its Job, its pod and the pod's own report. Pure."""

from datetime import datetime, timedelta
from typing import Any

from llm_operator.api.conditions import Reason, moment
from llm_operator.reconcile import pods
from llm_operator.reconcile.export_failure import failure_of, unexplained
from llm_operator.reconcile.export_obstacle import obstacle_of
from llm_operator.reconcile.export_state import Absent, Ending, Export, Running, Succeeded
from llm_operator.reconcile.world import Manifest, World, controller_uid, uid_of
from llm_operator.render import names
from llm_operator.render.artifact import artifact_from_result

RESULT_GRACE = timedelta(seconds=15)
"""How long the pod of a finished Job may look unfinished: the two are watched apart."""


def export_of(world: World, key8: str) -> Export:
    """The state of the export with that key."""
    job = world.child("Job", names.export_job(world.deployment.name, key8))
    if job is None or not world.owns(job):
        return Absent()
    if "deletionTimestamp" in job["metadata"]:
        return Ending()
    pod = _pod_of(world, job)
    finished = _finish_of(job)
    if finished is None or (not _has_ended(pod) and world.now - finished[1] < RESULT_GRACE):
        return _running(world, pod)
    has_succeeded, time = finished
    return _succeeded(job, pod, time) if has_succeeded else failure_of(job, pod, time)


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
    return Running(_step_of(pod), progress, obstacle_of(world, pod))


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


def _has_ended(pod: Manifest | None) -> bool:
    phase = (pod.get("status") or {}).get("phase") if pod is not None else None
    return phase in ("Succeeded", "Failed")


def _succeeded(job: Manifest, pod: Manifest | None, time: datetime) -> Export:
    result = _result(pod, "push")
    if result is None:
        lost = "the result of the export was lost with its pod"
        return unexplained(job, time, Reason.EXPORT_FAILED, lost)
    try:
        return Succeeded(artifact_from_result(result))
    except ValueError as error:
        return unexplained(job, time, Reason.EXPORT_FAILED, str(error))


def _result(pod: Manifest | None, container: str) -> dict[str, Any] | None:
    for status in pods.container_statuses(pod) if pod is not None else ():
        ended = (status.get("state") or {}).get("terminated")
        if status["name"] == container and ended is not None:
            return pods.termination_result(ended)
    return None
