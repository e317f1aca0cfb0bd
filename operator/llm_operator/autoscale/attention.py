"""When time alone may change a decision. Pure."""

from collections.abc import Iterator

from llm_operator.autoscale import policies
from llm_operator.autoscale.guard import MEMORY_SECONDS, PATIENCE_SECONDS
from llm_operator.autoscale.windows import Mean
from llm_operator.autoscale.wish import LONGEST_SETTLING_SECONDS, RAISE_PAUSE_SECONDS, View

SETTLING_SECONDS = 0.5
"""While a mean still moves."""

SOONEST_SECONDS = 0.1


def look_again(view: View, desired: int) -> float | None:
    """Seconds until the same world may lead to another decision; None: only news can."""
    now = view.seen.now
    due = [at for at in _moments(view, desired) if at is not None and at > now]
    return max(SOONEST_SECONDS, min(due) - now) if due else None


def _moments(view: View, desired: int) -> Iterator[float | None]:
    seen, memory, spec = view.seen, view.memory, view.spec
    yield memory.floor.until
    if _moves(memory.stable, view) or _moves(memory.cautious, view) or desired != seen.current:
        yield seen.now + SETTLING_SECONDS
    if view.is_in_burst or view.is_after_start:
        yield max(memory.burst_at, memory.started_at) + spec.stable_window_seconds
    yield memory.raised_at + RAISE_PAUSE_SECONDS
    if memory.shown.next is not None:
        yield memory.shown.next_since + spec.stable_window_seconds
    yield memory.wanted_high.falls_at(seen.now, view.down_window())
    yield memory.wanted_high.falls_at(seen.now, view.down_window() + LONGEST_SETTLING_SECONDS)
    yield memory.wanted_low.falls_at(seen.now, spec.scale_up.stabilization_window_seconds)
    yield policies.frees_at(
        seen.now, memory.changes, (*spec.scale_up.policies, *spec.scale_down.policies)
    )
    yield from _of_pods(view)


def _of_pods(view: View) -> Iterator[float | None]:
    seen, memory = view.seen, view.memory
    if _may_end(view):
        yield seen.now - memory.quiet.seconds(seen.now) + view.zero_after()
    if memory.queued_since is not None:
        yield memory.queued_since + view.spec.panic.window_seconds
    if memory.guard.since is not None:
        yield max(memory.guard.since + PATIENCE_SECONDS, memory.guard.grown_at + MEMORY_SECONDS)
    waits = (since + view.limits.capacity_timeout for since in seen.unschedulable_since)
    yield min((at for at in waits if at > seen.now), default=None)


def _may_end(view: View) -> bool:
    """Whether silence alone will end the last pod."""
    return view.floor == 0 and view.load.is_nothing and view.load.ready > 0


def _moves(mean: Mean, view: View) -> bool:
    over = mean.over(view.seen.now, view.spec.stable_window_seconds)
    return abs(over - mean.value) > 1e-6
