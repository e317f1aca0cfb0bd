"""Why an export Job failed: what its container told, or what its pod shows. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from llm_operator.api.conditions import Reason
from llm_operator.reconcile import pods
from llm_operator.reconcile.export_state import Failed
from llm_operator.reconcile.world import Manifest
from llm_operator.render.export_job import ATTEMPT

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


def failure_of(job: Manifest, pod: Manifest | None, time: datetime) -> Failed:
    """Of a Job that failed at `time`; `pod` is None where it is gone."""
    if pod is None:
        return unexplained(job, time, Reason.EXPORT_FAILED, "the export pod was lost with its node")
    if (evicted := _eviction(job, pod, time)) is not None:
        return evicted
    for status in pods.container_statuses(pod):
        ended = (status.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return _container_failure(job, status["name"], ended, time)
    message = str((pod.get("status") or {}).get("message") or "the export pod failed")
    return unexplained(job, time, Reason.EXPORT_FAILED, pods.excerpt(message))


def _eviction(job: Manifest, pod: Manifest, time: datetime) -> Failed | None:
    status = pod.get("status") or {}
    if status.get("reason") != "Evicted":
        return None
    message = str(status.get("message") or "")
    is_memory = "memory" in message and "ephemeral" not in message
    reason = Reason.INSUFFICIENT_MEMORY if is_memory else Reason.NO_SPACE
    return unexplained(job, time, reason, f"the export pod was evicted: {pods.excerpt(message)}")


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
            attempts=_attempt_of(job),
        )
    if ended.get("reason") == "OOMKilled":
        return _out_of_memory(job, step, code, time)
    tail = pods.excerpt(str(ended.get("message") or "no message"))
    message = f"step {step} ended with exit code {code}: {tail}"
    return unexplained(job, time, Reason.EXPORT_FAILED, message, code)


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
        attempts=_attempt_of(job),
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


def unexplained(
    job: Manifest, time: datetime, reason: Reason, message: str, exit_code: int | None = None
) -> Failed:
    """What nobody explained may heal: it is tried again."""
    return Failed(
        reason=reason,
        message=message,
        is_retryable=True,
        exit_code=exit_code,
        time=time,
        attempts=_attempt_of(job),
    )


def _attempt_of(job: Manifest) -> int:
    annotations = job["metadata"].get("annotations") or {}
    text = str(annotations.get(ATTEMPT, "1"))
    return int(text) if text.isdigit() else 1
