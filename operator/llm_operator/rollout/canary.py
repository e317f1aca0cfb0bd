"""How far a new revision has got through its steps, and what share of the calls it gets. Pure.

A step is over when what it asks for is so: a share, when its pods are available and clients follow
it; a pause, when its time has passed or somebody promotes the revision. A revision whose pods do
not come, or keep ending, is taken back: it gets no calls until somebody wants it tried again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Command(StrEnum):
    """One step further, past the last step, back to the stable revision, and once more from the
    first step."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    ABORT = "abort"
    RETRY = "retry"


ABORTED = "Aborted"
DEADLINE = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give the new revision so many per cent of the calls."""

    percent: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so long; without a time, until somebody promotes the revision."""

    seconds: int | None = None


Step = SetWeight | Pause


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a revision must not go on, as a reason and in a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Abort:
    """A revision was taken back."""

    failure: Failure
    at: datetime


@dataclass(frozen=True, slots=True)
class Shortage:
    """A step has waited for pods since then, with so many of them available."""

    available: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a canary stands.

    Attributes:
        step: index of the step it is at; the number of steps once it is past the last.
        paused_since: when its pause began.
        shortage: while pods of its step are missing.
        abort: that it was taken back, and why.
        last_action: the command that was seen last. It is not obeyed again while it stands.
    """

    step: int = 0
    paused_since: datetime | None = None
    shortage: Shortage | None = None
    abort: Abort | None = None
    last_action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a canary is judged by.

    Attributes:
        wanted: pods of the LLMDeployment, 1 or more.
        available: pods of the new revision that serve.
        are_shares_true: whether calls are shared now as the step asks.
        deadline_seconds: how long a step may wait for its next pod.
        failure: what is wrong with the revision's pods, where waiting would not help.
        pods: those of the revision that are there and not on their way out.
        action: the command that stands, COMMAND@REVISION.
        is_for_it: whether it is for this very revision.
    """

    now: datetime
    wanted: int
    available: int
    are_shares_true: bool
    deadline_seconds: int = 1800
    failure: Failure | None = None
    pods: int = 0
    action: str | None = None
    is_for_it: bool = True


def advance(progress: Progress, steps: Sequence[Step], facts: Facts) -> Progress:
    """The progress after one look: at most one step further, since the next one's share has to be
    shown to clients before it can be true."""
    if facts.action is None:
        progress = replace(progress, last_action=None)
    elif facts.is_for_it and facts.action != progress.last_action:
        return _obey(progress, steps, facts)
    if progress.abort is not None:
        return progress
    if facts.failure is not None:
        return _aborted(progress, facts.failure, facts.now)
    shortage = _shortage(progress, steps, facts)
    progress = replace(progress, shortage=shortage)
    if shortage is not None and facts.now >= _late_at(shortage, facts):
        return _aborted(progress, _lateness(progress, steps, facts), facts.now)
    return _further(progress, steps, facts)


def _further(progress: Progress, steps: Sequence[Step], facts: Facts) -> Progress:
    if progress.step >= len(steps):
        return replace(progress, paused_since=None)
    match steps[progress.step]:
        case SetWeight():
            is_over = facts.are_shares_true and progress.shortage is None
            return _next(progress) if is_over else progress
        case Pause(seconds=seconds):
            since = progress.paused_since or facts.now
            if seconds is not None and facts.now >= since + timedelta(seconds=seconds):
                return _next(progress)
            return replace(progress, paused_since=since)


def _obey(progress: Progress, steps: Sequence[Step], facts: Facts) -> Progress:
    """What was taken back can only be tried again, and what was not cannot. Pods of the attempt
    before would end the next one: a retry waits until they are gone."""
    command = str(facts.action).partition("@")[0]
    if progress.abort is not None and command == Command.RETRY:
        return progress if facts.pods else Progress(last_action=facts.action)
    progress = replace(progress, last_action=facts.action)
    if progress.abort is not None:
        return progress
    match command:
        case Command.PROMOTE if progress.step < len(steps):
            return _next(progress)
        case Command.PROMOTE_FULL:
            return Progress(step=len(steps), last_action=facts.action)
        case Command.ABORT:
            return _aborted(progress, Failure(ABORTED, "somebody asked for it"), facts.now)
    return progress


def _next(progress: Progress) -> Progress:
    return Progress(step=progress.step + 1, last_action=progress.last_action)


def _aborted(progress: Progress, failure: Failure, now: datetime) -> Progress:
    return Progress(abort=Abort(failure, now), last_action=progress.last_action)


def _shortage(progress: Progress, steps: Sequence[Step], facts: Facts) -> Shortage | None:
    """Counted anew with each pod that comes; a pause waits for none."""
    is_paused = progress.step < len(steps) and isinstance(steps[progress.step], Pause)
    if is_paused or has_pods(progress, steps, facts.wanted, facts.available):
        return None
    known = progress.shortage
    if known is None or facts.available > known.available:
        return Shortage(facts.available, facts.now)
    return replace(known, available=facts.available)


def _late_at(shortage: Shortage, facts: Facts) -> datetime:
    """When the next pod has not come within the deadline."""
    return shortage.since + timedelta(seconds=facts.deadline_seconds)


def _lateness(progress: Progress, steps: Sequence[Step], facts: Facts) -> Failure:
    there, asked = facts.available, pods_of_step(progress, steps, facts.wanted)
    limit = f"rollout.progressDeadlineSeconds ({facts.deadline_seconds} s)"
    return Failure(DEADLINE, f"{there} of {asked} pods were available after {limit}")


def pods_of_step(progress: Progress, steps: Sequence[Step], wanted: int) -> int:
    """Pods that the new revision is to have: as many of all as it gets of the calls, one at least;
    all of them past the last step, and none when it was taken back."""
    if progress.abort is not None:
        return 0
    if progress.step >= len(steps):
        return wanted
    return max(1, math.ceil(wanted * _percent(steps[: progress.step + 1]) / 100))


def has_pods(progress: Progress, steps: Sequence[Step], wanted: int, available: int) -> bool:
    """Whether the new revision has the pods that its step asks for."""
    return available >= pods_of_step(progress, steps, wanted)


def percent(progress: Progress, steps: Sequence[Step], wanted: int, available: int) -> int:
    """Per cent of the calls that the new revision gets now: what its step says once it has the pods
    for it, until then what the step before said and no more than its pods are of all, and nothing
    while none of them serves or when it was taken back."""
    if available == 0 or progress.abort is not None:
        return 0
    if has_pods(progress, steps, wanted, available):
        return 100 if progress.step >= len(steps) else _percent(steps[: progress.step + 1])
    return min(_percent(steps[: progress.step]), 100 * available // wanted)


def _percent(steps: Sequence[Step]) -> int:
    """What the last of these that says a share says."""
    given = [step.percent for step in steps if isinstance(step, SetWeight)]
    return given[-1] if given else 0


def time_left(progress: Progress, steps: Sequence[Step], facts: Facts) -> float | None:
    """Seconds until time alone changes something: a pause ends, or pods are late."""
    ends = _ends_at(progress, steps, facts)
    return max(0.0, (ends - facts.now).total_seconds()) if ends is not None else None


def _ends_at(progress: Progress, steps: Sequence[Step], facts: Facts) -> datetime | None:
    if progress.shortage is not None:
        return _late_at(progress.shortage, facts)
    if progress.step >= len(steps) or progress.paused_since is None:
        return None
    step = steps[progress.step]
    if not isinstance(step, Pause) or step.seconds is None:
        return None
    return progress.paused_since + timedelta(seconds=step.seconds)
