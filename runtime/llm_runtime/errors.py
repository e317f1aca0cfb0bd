"""Failures that a person has to read: a closed reason each, and a sentence that says what to do.

    ModelError          a model cannot be fetched, exported, verified, stored or loaded

Reasons are those of the ``ModelReady`` condition, so that what a Job writes into its termination
message reaches ``kubectl get`` unchanged. Messages never hold tokens, passwords or prompts.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a model is not there: reasons of the conditions ``ModelReady`` and ``Available``."""

    FILE_NOT_FOUND = "FileNotFound"
    SOURCE_UNREACHABLE = "SourceUnreachable"
    REGISTRY_UNAVAILABLE = "RegistryUnavailable"
    DOWNLOAD_FAILED = "DownloadFailed"
    EXPORT_FAILED = "ExportFailed"
    UNSUPPORTED_ARCHITECTURE = "UnsupportedArchitecture"
    PRE_EXPORTED_UNSUPPORTED = "PreExportedUnsupported"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    AUTH_FAILED = "AuthFailed"
    NO_SPACE = "NoSpace"
    INSUFFICIENT_MEMORY = "InsufficientMemory"
    QUALITY_GATE_FAILED = "QualityGateFailed"
    MODEL_LOAD_FAILED = "ModelLoadFailed"


# Time heals these: a network comes back, a disk is emptied. The others need a person.
_RETRYABLE = frozenset(
    {
        Reason.SOURCE_UNREACHABLE,
        Reason.REGISTRY_UNAVAILABLE,
        Reason.DOWNLOAD_FAILED,
        Reason.NO_SPACE,
    }
)


class ModelError(Exception):
    """A model cannot be fetched, exported, verified, stored or loaded.

    ``message`` is one sentence or two that name the thing and say what to do. ``retryable`` is the
    reason's own answer unless the place that raises knows better.
    """

    def __init__(self, reason: Reason, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = reason in _RETRYABLE if retryable is None else retryable

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
