"""How far a new revision has got through its steps, and what share of the calls it gets. Pure.

A step is over when what it asks for is so: a share, when its pods are available and clients follow
it; a pause, when its time has passed or somebody promotes the revision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give the new revision so many per cent of the calls."""

    percent: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long; without a time, until somebody promotes the revision."""

    seconds: int | None = None


Step = SetWeight | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a canary stands.

    Attributes:
        step: index of the step it is at; the number of steps once it is past the last.
        paused_since: when its pause began.
        last_action: the command that was obeyed last. It is not obeyed again while it stands.
    """

    step: int = 0
    paused_since: datetime | None = None
    last_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a canary is judged by.

    Attributes:
        wanted: pods of the LLMDeployment, 1 or more.
        available: pods of the new revision that serve.
        are_shares_true: whether calls are shared now as the step asks.
        action: the command that somebody gave for this very revision.
    """

    now: datetime
    wanted: int
    available: int
    are_shares_true: bool
    action: str | None = None


def advance(progress: Progress, steps: Sequence[Step], facts: Facts) -> Progress:
    """The progress after one look: at most one step further, since the next one's share has to be
    shown to clients before it can be true."""
    if facts.action is None:
        progress = replace(progress, last_action=None)
    if progress.step >= len(steps):
        return replace(progress, paused_since=None)
    if facts.action is not None and facts.action != progress.last_action:
        return Progress(step=progress.step + 1, last_action=facts.action)
    match steps[progress.step]:
        case SetWeight():
            there = has_pods(progress, steps, facts.wanted, facts.available)
            is_over = facts.are_shares_true and there
            return _next(progress) if is_over else progress
        case Pause(seconds=seconds):
            since = progress.paused_since or facts.now
            if seconds is not None and facts.now >= since + timedelta(seconds=seconds):
                return _next(progress)
            return replace(progress, paused_since=since)


def _next(progress: Progress) -> Progress:
    return Progress(step=progress.step + 1, last_action=progress.last_action)


def pods_of_step(progress: Progress, steps: Sequence[Step], wanted: int) -> int:
    """Pods that the new revision is to have: as many of all as it gets of the calls, one at least;
    all of them past the last step."""
    if progress.step >= len(steps):
        return wanted
    return max(1, math.ceil(wanted * _percent(steps[: progress.step + 1]) / 100))


def has_pods(progress: Progress, steps: Sequence[Step], wanted: int, available: int) -> bool:
    """Whether the new revision has the pods that its step asks for."""
    return available >= pods_of_step(progress, steps, wanted)


def percent(progress: Progress, steps: Sequence[Step], wanted: int, available: int) -> int:
    """Per cent of the calls that the new revision gets now: what its step says once it has the pods
    for it, until then what the step before said, and nothing while none of its pods serves."""
    if available == 0:
        return 0
    is_ready = has_pods(progress, steps, wanted, available)
    if progress.step >= len(steps):
        return 100 if is_ready else _percent(steps)
    return _percent(steps[: progress.step + is_ready])


def _percent(steps: Sequence[Step]) -> int:
    """What the last of these that says a share says."""
    given = [step.percent for step in steps if isinstance(step, SetWeight)]
    return given[-1] if given else 0


def time_left(progress: Progress, steps: Sequence[Step], now: datetime) -> float | None:
    """Seconds until time alone ends the pause; None where it does not."""
    if progress.step >= len(steps) or progress.paused_since is None:
        return None
    step = steps[progress.step]
    if not isinstance(step, Pause) or step.seconds is None:
        return None
    ends = progress.paused_since + timedelta(seconds=step.seconds)
    return max(0.0, (ends - now).total_seconds())
