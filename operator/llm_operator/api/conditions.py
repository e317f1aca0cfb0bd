"""Conditions: types, reasons, and when their time of transition moves. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

ConditionStatus = Literal["True", "False", "Unknown"]

MESSAGE_LIMIT = 2000
"""Characters; longer messages are cut, so that a crash log cannot fill the object."""


class ConditionType(StrEnum):
    ACCEPTED = "Accepted"
    MODEL_READY = "ModelReady"
    CAPACITY_AVAILABLE = "CapacityAvailable"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    ROLLOUT_HEALTHY = "RolloutHealthy"
    AUTOSCALING_ACTIVE = "AutoscalingActive"
    ROUTE_READY = "RouteReady"
    RUNTIME_OUTDATED = "RuntimeOutdated"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Reason(StrEnum):
    """Every reason that a condition may have."""

    PENDING = "Pending"
    # Accepted
    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    UNSUPPORTED_COMBINATION = "UnsupportedCombination"
    # ModelReady
    STORED = "Stored"
    DOWNLOADING = "Downloading"
    EXPORTING = "Exporting"
    VERIFYING = "Verifying"
    PUSHING = "Pushing"
    FILE_NOT_FOUND = "FileNotFound"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    REGISTRY_UNAVAILABLE = "RegistryUnavailable"
    VOLUME_CONFLICT = "VolumeConflict"
    PRE_EXPORTED_UNSUPPORTED = "PreExportedUnsupported"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    DOWNLOAD_FAILED = "DownloadFailed"
    EXPORT_FAILED = "ExportFailed"
    UNSUPPORTED_ARCHITECTURE = "UnsupportedArchitecture"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    QUALITY_GATE_FAILED = "QualityGateFailed"
    AUTH_FAILED = "AuthFailed"
    NO_SPACE = "NoSpace"
    # CapacityAvailable
    SCHEDULED = "Scheduled"
    UNSCHEDULABLE = "Unschedulable"
    INSUFFICIENT_GPU = "InsufficientGPU"
    INSUFFICIENT_CPU = "InsufficientCPU"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NODE_SELECTOR_MISMATCH = "NodeSelectorMismatch"
    # Available
    MINIMUM_REPLICAS_AVAILABLE = "MinimumReplicasAvailable"
    STARTING = "Starting"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    OOM_KILLED = "OOMKilled"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    POD_REFUSED = "PodRefused"
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    STARTUP_TIMEOUT = "StartupTimeout"
    SCALED_TO_ZERO = "ScaledToZero"
    # Progressing
    NEW_REVISION = "NewRevision"
    PAUSED = "Paused"
    ROLLOUT_COMPLETE = "RolloutComplete"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    ROLLED_BACK = "RolledBack"
    # RolloutHealthy, beside reasons of pods that do not come or keep ending
    ABORTED = "Aborted"
    # AutoscalingActive
    SCALING_ACTIVE = "ScalingActive"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    AT_MAXIMUM = "AtMaximum"
    CAPACITY_LIMITED = "CapacityLimited"
    ADVISORY = "Advisory"
    AUTOSCALER_CONFLICT = "AutoscalerConflict"
    # RouteReady
    PROGRAMMED = "Programmed"
    CRD_NOT_INSTALLED = "CRDNotInstalled"
    NOT_ACCEPTED = "NotAccepted"
    # RuntimeOutdated
    RENDERING_CHANGED = "RenderingChanged"
    # Ready
    IDLE = "Idle"
    SERVING = "Serving"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is true now, without history."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str

    @property
    def is_true(self) -> bool:
        return self.status == "True"


def with_history(
    conditions: Iterable[Condition],
    stored: Iterable[Mapping[str, Any]],
    *,
    generation: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """The `status.conditions` to store. The time of transition moves only with the status, and what
    is not in `conditions` goes: a condition that does not apply is not left stale."""
    before = {condition["type"]: condition for condition in stored}
    return [
        _with_time(condition, before.get(condition.type), generation, now)
        for condition in conditions
    ]


def _with_time(
    condition: Condition, before: Mapping[str, Any] | None, generation: int, now: datetime
) -> dict[str, Any]:
    is_same = before is not None and before["status"] == condition.status
    time = before["lastTransitionTime"] if before is not None and is_same else timestamp(now)
    return {
        "type": str(condition.type),
        "status": condition.status,
        "reason": str(condition.reason),
        "message": condition.message[:MESSAGE_LIMIT],
        "lastTransitionTime": time,
        "observedGeneration": generation,
    }


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as the API server writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Inverse of `timestamp`; also reads fractions of seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
