"""How many pods an LLMDeployment should have. Pure: no clock, no chance, no I/O.

Demand is counted in pods (`demand`), averaged over a stable and a short window (`windows`). Upwards
the larger wish wins; a burst is answered from the short window and forbids scaling down until it
has been over for one stable window. Downwards, what is left must hold the load with room to spare,
for as long as the stabilization window. Pods that are asked for and not there yet are counted by
the wish itself: it is a number of pods, never "some more".
"""

from dataclasses import dataclass, replace

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale import policies, wish
from llm_operator.autoscale.attention import look_again
from llm_operator.autoscale.decision import Condition, Decision
from llm_operator.autoscale.explanation import explain, inputs
from llm_operator.autoscale.memory import Memory, Shown
from llm_operator.autoscale.observation import Limits, Observation, PodReport
from llm_operator.autoscale.policies import Change
from llm_operator.autoscale.reason import ConditionReason, DecisionReason
from llm_operator.autoscale.wish import View, Wish

__all__ = [
    "Condition",
    "ConditionReason",
    "Decision",
    "DecisionReason",
    "Limits",
    "Memory",
    "Observation",
    "PodReport",
    "decide",
    "see",
]


def decide(
    observation: Observation, memory: Memory, spec: AutoscalingSpec, limits: Limits
) -> Decision:
    """The number of pods that there should be now, why, and what to remember.

    Never raises on what pods say. What was wanted last is taken from the memory where the
    observation, which comes by way of the API server, does not know it yet.
    """
    observation = _newest(observation, memory)
    memory, load = memory.see(observation, spec)
    view = View(observation, load, memory, spec, limits)
    if wish.is_burst(view):
        view = replace(view, memory=replace(memory, burst_at=observation.now))
    view, wanted = _wanted(view)
    settled = _bounded(view, wanted)
    return _answer(_told(view, settled), settled)


def see(observation: Observation, memory: Memory, spec: AutoscalingSpec) -> Memory:
    """What is remembered of a look on which nobody acts: the load, and no decision."""
    seen, _ = memory.see(_newest(observation, memory), spec)
    return seen


def _newest(observation: Observation, memory: Memory) -> Observation:
    """With what the memory knows better."""
    if observation.now < memory.now or observation.current != memory.shown.desired:
        now = max(observation.now, memory.now)
        return replace(observation, now=now, current=memory.shown.desired)
    return observation


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted before bounds: `count` pods. The load itself asks for `beyond`, however many
    there may be (0: nobody knows)."""

    count: int
    reason: DecisionReason
    beyond: int


def _wanted(view: View) -> tuple[View, _Wanted]:
    """Up, down, or as it is; and what is remembered of the wishes."""
    current = view.seen.current
    up, fewest = wish.upwards(view), wish.downwards(view)
    guarded = wish.guarded(view)
    view = _remember_wishes(view, up, fewest, guarded)
    if guarded is not None:
        return view, _Wanted(guarded.count, guarded.reason, guarded.count)
    if view.is_blind:
        return view, _Wanted(current, DecisionReason.METRICS_UNAVAILABLE, 0)
    if up.count > current:
        return view, _raised(view, up)
    if not view.load.ready and current:
        return view, _Wanted(current, DecisionReason.NO_POD_READY, up.count)
    return view, _lowered(view, fewest, up)


def _remember_wishes(view: View, up: Wish, fewest: int, guarded: Wish | None) -> View:
    now, memory, spec = view.seen.now, view.memory, view.spec
    guard = memory.guard
    if guarded is not None:
        guard = guard.spoke(now, view.stable(), spec.targets.utilization / 100)
    low = memory.wanted_low.see(now, -up.count, spec.scale_up.stabilization_window_seconds)
    longest = view.down_window() + wish.LONGEST_SETTLING_SECONDS
    high = memory.wanted_high.see(now, fewest, longest)
    return replace(view, memory=replace(memory, wanted_low=low, wanted_high=high, guard=guard))


def _raised(view: View, up: Wish) -> _Wanted:
    """Upwards, as far as the pause, the window and the policies let it."""
    current = view.seen.current
    if view.is_between_raises and up.reason is not DecisionReason.CALLS_HELD:
        return _Wanted(current, DecisionReason.STEADY, 0)
    if up.reason is DecisionReason.CALLS_HELD and current == 0:
        count = up.count
    else:
        window = view.spec.scale_up.stabilization_window_seconds
        count = max(current, -view.memory.wanted_low.over(view.seen.now, window))
    if count == current:
        return _Wanted(current, DecisionReason.STABILIZING, up.count)
    rules = view.spec.scale_up.policies
    most = policies.highest(current, view.seen.now, view.memory.changes, rules)
    if most is not None:
        count = min(count, max(most, 1))
    reason = up.reason if count > current else DecisionReason.POLICY_HOLDS
    return _Wanted(count, reason, up.count)


def _lowered(view: View, fewest: int, up: Wish) -> _Wanted:
    """Downwards, as far as everything that holds pods lets it."""
    current = view.seen.current
    if current == 0:
        return _Wanted(0, DecisionReason.STEADY, 0)
    low, reason = wish.settled_low(view), DecisionReason.DEMAND_FELL
    target = current if low is None else max(low, wish.clearing(view))
    if wish.is_over(view):
        target, fewest, reason = 0, 0, DecisionReason.IDLE
    held = _held(view, min(target, current), fewest)
    if held is not None:
        return _Wanted(current, held, up.count)
    rules = view.spec.scale_down.policies
    least = policies.lowest(current, view.seen.now, view.memory.changes, rules)
    count = target if least is None else max(target, least)
    if count >= current:
        return _Wanted(current, DecisionReason.POLICY_HOLDS, up.count)
    return _Wanted(count, reason, up.count)


def _held(view: View, target: int, fewest: int) -> DecisionReason | None:
    """Why all pods are kept; None where some may go."""
    current = view.seen.current
    if max(view.floor, fewest) >= current:
        latency = view.floor < current and wish.latency_floor(view) >= current
        return DecisionReason.LATENCY_HOLDS if latency else DecisionReason.STEADY
    if view.is_in_burst or view.is_after_start:
        return DecisionReason.AFTER_BURST
    if view.seen.is_rolling:
        return DecisionReason.ROLLOUT_HOLDS
    if wish.clearing(view) >= current:
        return DecisionReason.QUEUE_HOLDS
    return DecisionReason.STABILIZING if target >= current else None


def _bounded(view: View, wanted: _Wanted) -> Wish:
    """Within minimum, what nodes take, what a rollout needs, and above all the maximum."""
    current, ceiling = view.seen.current, view.spec.max_replicas
    count, reason = wanted.count, wanted.reason
    if wanted.beyond > ceiling and count >= min(current, ceiling):
        count, reason = min(count, ceiling), DecisionReason.AT_MAXIMUM
    if view.is_without_room and wanted.beyond > current:
        count, reason = min(count, current), DecisionReason.CAPACITY_LIMITED
    if count > ceiling:
        count, reason = ceiling, DecisionReason.MAXIMUM
    if count < view.floor < current:
        count = view.floor
    elif count < view.floor:
        by_schedule = view.memory.floor.replicas > view.spec.min_replicas
        reason = DecisionReason.SCHEDULE if by_schedule else DecisionReason.MINIMUM
        count = view.floor
    rollout_floor = min(view.seen.rollout_floor, ceiling)
    if count < rollout_floor:
        count, reason = rollout_floor, DecisionReason.ROLLOUT
    return Wish(count, reason)


_AT_ONCE = frozenset(
    {
        DecisionReason.METRICS_UNAVAILABLE,
        DecisionReason.CAPACITY_LIMITED,
        DecisionReason.AT_MAXIMUM,
    }
)
"""Reasons to keep that are told without waiting whether they last."""

_BY_LOAD = frozenset(
    {
        DecisionReason.DEMAND_ROSE,
        DecisionReason.BURST,
        DecisionReason.LATENCY,
        DecisionReason.AT_MAXIMUM,
    }
)

_OF_CHANGE = frozenset(
    {
        DecisionReason.DEMAND_ROSE,
        DecisionReason.BURST,
        DecisionReason.CALLS_HELD,
        DecisionReason.LATENCY,
        DecisionReason.MINIMUM,
        DecisionReason.SCHEDULE,
        DecisionReason.ROLLOUT,
        DecisionReason.DEMAND_FELL,
        DecisionReason.MAXIMUM,
        DecisionReason.IDLE,
    }
)
_NO_NEWS = _OF_CHANGE | {DecisionReason.STEADY}
"""What may hold on after a change without being told: the change still says why."""


def _told(view: View, settled: Wish) -> View:
    """What is told: a change and trouble at once; why nothing changes only once that has held for
    a stable window, so that noise writes no status; that all is steady only after trouble."""
    shown, now, reason = view.memory.shown, view.seen.now, settled.reason
    if settled.count != shown.desired or not shown.message:
        return _show(view, settled)
    if reason is shown.reason or (shown.reason in _OF_CHANGE and reason in _NO_NEWS):
        return _keep(view, None)
    if reason in _AT_ONCE:
        return _show(view, settled)
    since = shown.next_since if shown.next is reason else now
    lasts = now - since >= view.spec.stable_window_seconds
    return _show(view, settled) if lasts else _keep(view, reason, since)


def _keep(view: View, coming: DecisionReason | None, since: float = 0.0) -> View:
    """Tells the same on; `coming` may be told once it has held for long enough."""
    shown = view.memory.shown
    if shown.next is coming:
        return view
    kept = replace(shown, next=coming, next_since=since)
    return replace(view, memory=replace(view.memory, shown=kept))


def _show(view: View, settled: Wish) -> View:
    memory, current = view.memory, view.seen.current
    shown = Shown(
        desired=settled.count,
        reason=settled.reason,
        message=explain(view, settled),
        inputs=inputs(view),
    )
    memory = replace(memory, shown=shown)
    if settled.count != current:
        memory = _changed(view, settled, memory)
    return replace(view, memory=memory)


def _changed(view: View, settled: Wish, memory: Memory) -> Memory:
    """With the change, for what looks back on changes."""
    now, spec, current = view.seen.now, view.spec, view.seen.current
    rules = (*spec.scale_up.policies, *spec.scale_down.policies)
    change = Change(now, settled.count - current)
    memory = replace(memory, changes=policies.remember(memory.changes, change, rules))
    relapse, load = memory.relapse, wish.lasting(view)
    if settled.count < current:
        if settled.reason is DecisionReason.DEMAND_FELL:
            memory = replace(memory, relapse=relapse.dropped(now, settled.count, load))
        return memory
    if settled.reason in _BY_LOAD:
        relapse = relapse.raised(now, current, load, spec.stable_window_seconds)
    return replace(memory, relapse=relapse, raised_at=now)


_CONDITIONS = {
    DecisionReason.METRICS_UNAVAILABLE: Condition(False, ConditionReason.METRICS_UNAVAILABLE),
    DecisionReason.AT_MAXIMUM: Condition(True, ConditionReason.AT_MAXIMUM),
    DecisionReason.CAPACITY_LIMITED: Condition(True, ConditionReason.CAPACITY_LIMITED),
}
_ACTIVE = Condition(True, ConditionReason.SCALING_ACTIVE)


def _answer(view: View, settled: Wish) -> Decision:
    shown = view.memory.shown
    return Decision(
        desired=settled.count,
        reason=shown.reason,
        message=shown.message,
        inputs=shown.inputs,
        memory=view.memory,
        look_again=look_again(view, settled.count),
        condition=_CONDITIONS.get(shown.reason, _ACTIVE),
        startup_seconds_p90=view.memory.startups.p90,
    )
