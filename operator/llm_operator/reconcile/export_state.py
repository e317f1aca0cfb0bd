"""The states of an export, and when a failed one is tried again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_operator.api.conditions import Reason
from llm_operator.reconcile.pods import Trouble
from llm_operator.reconcile.world import ExportProgress
from llm_operator.render.artifact import Artifact

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)


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
    trouble: Trouble | None = None


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
