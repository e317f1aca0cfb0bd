"""How many pods the load asks for: upwards, downwards, and down to none. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale import guard
from llm_operator.autoscale.demand import Load
from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.observation import Limits, Observation
from llm_operator.autoscale.reason import DecisionReason

HYSTERESIS = 0.88
"""Pods are given up only where what is left stays below this share of the target (75 % of a pod
where the target is 85): the load must not bring them back at once."""

SETTLING_SECONDS = 30.0
LONGEST_SETTLING_SECONDS = 60.0
"""While the highest wish of the window still falls, one step down is awaited instead of many: until
nothing falls for the shorter time, or for the longer one at most."""

LONGEST_WINDOW_SECONDS = 3600.0
"""However long pods take to start, a lower wish that has held for so long is followed."""

STARTS_TO_STABILIZE = 2
STARTS_TO_ZERO = 3
"""How many start-up times a lower wish, or silence, must hold: what goes is long to come back."""

LONGEST_SILENCE_SECONDS = 900.0
"""However long pods take to start, silence need not last longer, unless the user asks for that."""

RAISE_PAUSE_SECONDS = 0.5
"""Between two raises by load: while the short window's mean climbs, each look wants one more."""

_ROUNDING = 1e-6
"""A load of exactly two pods is not one of three."""


@dataclass(frozen=True, slots=True)
class View:
    """What a decision is made on."""

    seen: Observation
    load: Load
    memory: Memory
    """With what is seen now."""
    spec: AutoscalingSpec
    limits: Limits

    @property
    def carried(self) -> float:
        """What one pod should carry, in pods: the target, or less where latency said so."""
        return min(self.spec.targets.utilization / 100, self.memory.guard.limit)

    @property
    def floor(self) -> int:
        """The fewest pods that the user asks for now."""
        least = max(self.spec.min_replicas, self.memory.floor.replicas)
        return min(least, self.spec.max_replicas)

    @property
    def is_in_burst(self) -> bool:
        """For a whole stable window after the last moment of one."""
        return self.seen.now - self.memory.burst_at < self.spec.stable_window_seconds

    @property
    def is_between_raises(self) -> bool:
        """Whether pods were added just now."""
        return self.seen.now < self.memory.raised_at + RAISE_PAUSE_SECONDS

    @property
    def is_after_start(self) -> bool:
        """For a whole stable window after the operator started."""
        return self.seen.now - self.memory.started_at < self.spec.stable_window_seconds

    @property
    def is_blind(self) -> bool:
        return self.load.ready > 0 and self.load.is_mostly_unknown

    @property
    def is_everyone_here(self) -> bool:
        """Whether every pod that is wanted is ready."""
        coming = self.seen.pending or self.seen.unschedulable_since
        return not coming and self.load.ready >= self.seen.current

    @property
    def is_without_room(self) -> bool:
        """Whether further pods would find no node."""
        patience = self.seen.now - self.limits.capacity_timeout
        return self.seen.is_refused or any(s <= patience for s in self.seen.unschedulable_since)

    def stable(self) -> float:
        """Pods of load over the stable window."""
        return self.memory.stable.over(self.seen.now, self.spec.stable_window_seconds)

    def sudden(self) -> float:
        """Pods of load over the short window."""
        return self.memory.sudden.over(self.seen.now, self.spec.panic.window_seconds)

    def down_window(self) -> float:
        """Seconds for which a lower wish must hold."""
        start = STARTS_TO_STABILIZE * (self.memory.startups.p90 or 0.0)
        asked = self.spec.scale_down.stabilization_window_seconds
        return min(max(float(asked), start), LONGEST_WINDOW_SECONDS)

    def zero_after(self) -> float:
        """Seconds of silence after which there is no pod."""
        start = STARTS_TO_ZERO * (self.memory.startups.p90 or 0.0)
        asked = float(self.spec.scale_to_zero.after_seconds)
        return max(asked, min(start, LONGEST_SILENCE_SECONDS))


@dataclass(frozen=True, slots=True)
class Wish:
    """So many pods, because."""

    count: int
    reason: DecisionReason


def need(pods: float, carried: float) -> int:
    """Pods for a load, if each carries so much. need(2.0, 0.85) = 3; need(1.7, 0.85) = 2."""
    return max(0, math.ceil(pods / carried - _ROUNDING))


def is_burst(view: View) -> bool:
    """Whether the short window asks for far more than what is ready."""
    threshold = view.spec.panic.threshold_percent / 100 * max(1, view.load.ready)
    return need(view.sudden(), view.carried) >= threshold


def upwards(view: View) -> Wish:
    """What the load asks for now; the guard apart. Of equal wishes the first: a held call waits
    for no window."""
    return max(_upwards(view), key=lambda wish: wish.count)


def _upwards(view: View) -> Iterator[Wish]:
    if view.load.held and not view.load.ready:
        # A leader that has seen no pod yet does not know what one carries.
        pods = view.load.pods or view.load.held / view.limits.slots
        yield Wish(max(1, need(pods, view.carried)), DecisionReason.CALLS_HELD)
    yield Wish(need(view.stable(), view.carried), DecisionReason.DEMAND_ROSE)
    if view.is_in_burst or is_pressed(view):
        yield Wish(need(view.sudden(), view.carried), DecisionReason.BURST)
    if not view.load.is_nothing:
        yield Wish(1, DecisionReason.DEMAND_ROSE)


def is_pressed(view: View) -> bool:
    """Whether requests have waited throughout the short window: a queue that lasts proves that the
    load is no noise."""
    since = view.memory.queued_since
    return since is not None and view.seen.now - since >= view.spec.panic.window_seconds


def guarded(view: View) -> Wish | None:
    """One pod more for the latency, where tokens alone see nothing to do."""
    fits = upwards(view).count <= view.seen.current
    if fits and view.is_everyone_here and view.memory.guard.is_due(view.seen.now):
        return Wish(view.seen.current + 1, DecisionReason.LATENCY)
    return None


def downwards(view: View) -> int:
    """The fewest pods that would hold the load with room to spare; never none."""
    if view.is_blind or not view.load.ready:
        return view.seen.current
    load = lasting(view)
    fits = max(1, need(load, HYSTERESIS * view.carried), latency_floor(view))
    return max(fits, min(view.memory.relapse.fewest(view.seen.now, load), view.seen.current))


def lasting(view: View) -> float:
    """Pods of load that are left when queues are cleared: the larger of the two windows'."""
    now, spec, cautious = view.seen.now, view.spec, view.memory.cautious
    windows = (spec.stable_window_seconds, spec.panic.window_seconds)
    return max(cautious.over(now, window) for window in windows)


def clearing(view: View) -> int:
    """The pods that all there is now would fill, the whole queue too: until it is gone they stay,
    and are not remembered."""
    return need(view.load.pods, HYSTERESIS * view.carried)


def settled_low(view: View) -> int | None:
    """The highest of the lower wishes within the window; None while it is still falling."""
    now, window, wishes = view.seen.now, view.down_window(), view.memory.wanted_high
    lowest = wishes.over(now, window)
    soon = wishes.over(now, max(0.0, window - SETTLING_SECONDS))
    is_late = wishes.over(now, window + LONGEST_SETTLING_SECONDS) < view.seen.current
    return lowest if soon == lowest or is_late else None


def latency_floor(view: View) -> int:
    """The fewest pods that keep latencies clear of their targets."""
    return guard.fewest(view.seen, view.load, view.spec.targets)


def is_over(view: View) -> bool:
    """Whether nobody has wanted anything for so long that no pod is needed."""
    return (
        view.floor == 0
        and (view.load.ready > 0 or view.seen.current == 0)
        and not view.load.missing
        and view.load.is_nothing
        and view.memory.quiet.seconds(view.seen.now) >= view.zero_after()
    )
