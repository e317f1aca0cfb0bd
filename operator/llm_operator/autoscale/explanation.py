"""A decision in one sentence for `kubectl describe`, and the figures that it was made on."""

from collections.abc import Mapping

from llm_operator.autoscale.reason import DecisionReason
from llm_operator.autoscale.wish import View, Wish, upwards

_CHANGES = {
    DecisionReason.DEMAND_ROSE: "the load of the last {stable} s fills {asked} to {target} % each",
    DecisionReason.BURST: "load rose suddenly, that of the last {brief} s fills {asked} to "
    "{target} % each",
    DecisionReason.CALLS_HELD: "calls wait at the activator until a pod is ready",
    DecisionReason.LATENCY: "latency stays above its target although the load fits",
    DecisionReason.MINIMUM: "minReplicas asks for {pods}",
    DecisionReason.SCHEDULE: "a schedule asks for {pods} now",
    DecisionReason.ROLLOUT: "the rollout needs {pods}",
    DecisionReason.DEMAND_FELL: "{fewer} the load with room to spare",
    DecisionReason.MAXIMUM: "maxReplicas allows no more",
    DecisionReason.AT_MAXIMUM: "the load asks for more than maxReplicas ({most}) allows",
    DecisionReason.IDLE: "no request ran, waited or was held for {idle} s",
}

_HOLDS = {
    DecisionReason.STEADY: "the load fits",
    DecisionReason.AT_MAXIMUM: "the load asks for more than maxReplicas ({most}) allows",
    DecisionReason.METRICS_UNAVAILABLE: "most ready pods give no credible report of their load, "
    "and until they do nothing is added or given up",
    DecisionReason.NO_POD_READY: "no pod is ready that could tell the load",
    DecisionReason.AFTER_BURST: "fewer would do, but for {stable} s after a burst or a start of "
    "the operator nothing is given up",
    DecisionReason.QUEUE_HOLDS: "fewer would do once nothing waits for a slot",
    DecisionReason.STABILIZING: "{other} would fit the load; that has to last for {lasting} first",
    DecisionReason.LATENCY_HOLDS: "fewer would hold the tokens, but not the latency targets",
    DecisionReason.POLICY_HOLDS: "{other} would fit the load; {direction}.policies allow no "
    "further step yet",
    DecisionReason.ROLLOUT_HOLDS: "fewer would do; they go when the rollout is over",
}


def explain(view: View, settled: Wish) -> str:
    """One sentence that gives the number of pods and why."""
    current, count, reason = view.seen.current, settled.count, settled.reason
    if reason is DecisionReason.CAPACITY_LIMITED:
        return f"Keeping {_pods(count)}: {_no_room(view)}, so no more are asked for."
    figures = _figures(view, count)
    if count != current:
        why = (_CHANGES.get(reason) or _HOLDS[reason]).format(**figures)
        return f"Scaled from {current} to {_pods(count)}: {why}{_so_far(view, settled)}."
    why = _HOLDS.get(reason) or _CHANGES[reason]
    return f"Keeping {_pods(count)}: {why.format(**figures)}."


def inputs(view: View) -> Mapping[str, str]:
    """The figures of a decision, for status."""
    seen, load = view.seen, view.load
    startup = view.memory.startups.p90
    known = {
        "load": f"{view.stable():.2f} pods over {view.spec.stable_window_seconds} s",
        "loadShort": f"{view.sudden():.2f} pods over {view.spec.panic.window_seconds} s",
        "tokensPerPod": f"{load.profile.tokens:.0f}",
        "tokensPerRequest": f"{load.profile.request:.0f}",
        "slotsPerPod": f"{load.profile.slots:g}",
        "target": f"{view.carried * 100:.0f} %",
        "ready": str(load.ready),
        "pending": str(seen.pending),
        "unschedulable": str(len(seen.unschedulable_since)),
        "silent": str(load.missing),
        "running": str(load.running),
        "waiting": str(load.waiting),
        "held": str(load.held),
    }
    return known if startup is None else {**known, "startupSecondsP90": f"{startup:.0f}"}


def _so_far(view: View, settled: Wish) -> str:
    """Where the load asks for more than a step gives."""
    is_asked = settled.reason in (DecisionReason.DEMAND_ROSE, DecisionReason.BURST)
    if not is_asked or upwards(view).count <= settled.count:
        return ""
    return "; scaleUp allows no further step yet"


def _figures(view: View, count: int) -> Mapping[str, str]:
    asked = upwards(view).count
    is_up = asked > view.seen.current
    return {
        "asked": _pods(asked),
        "most": str(view.spec.max_replicas),
        "other": "more" if is_up else "fewer",
        "direction": "scaleUp" if is_up else "scaleDown",
        "lasting": _lasting(view, is_up=is_up),
        "pods": _pods(count),
        "stable": str(view.spec.stable_window_seconds),
        "brief": str(view.spec.panic.window_seconds),
        "target": f"{view.carried * 100:.0f}",
        "fewer": _fewer(view),
        "idle": f"{view.zero_after():.0f}",
    }


def _lasting(view: View, *, is_up: bool) -> str:
    """How long another wish must hold, and who says so."""
    if is_up:
        seconds = view.spec.scale_up.stabilization_window_seconds
        return f"scaleUp.stabilizationWindowSeconds ({seconds} s)"
    seconds, down = view.spec.scale_down.stabilization_window_seconds, view.down_window()
    if down > seconds:
        return f"{down:.0f} s (longer than scaleDown.stabilizationWindowSeconds: pods start slowly)"
    return f"scaleDown.stabilizationWindowSeconds ({seconds} s)"


def _fewer(view: View) -> str:
    """How long fewer were enough, where they had to be for a while."""
    seconds = f"{view.down_window():.0f}"
    return "fewer hold" if seconds == "0" else f"for {seconds} s fewer would have held"


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"


def _no_room(view: View) -> str:
    if view.seen.is_refused:
        return "a quota or the cluster autoscaler refuses further pods"
    return f"pods have found no node for {view.limits.capacity_timeout:.0f} s"
