"""Why ours does not do better where it does not: found by looking at the runs, told only there."""

from collections.abc import Mapping

from bench.autoscaler_sim.contestant import HPA, KPA
from bench.autoscaler_sim.verdict import Outcome, Verdict

_SMALL_STEP = (
    "half as much load again comes, and stays. At 85 % the pods that are there only just hold it, "
    "so the rise is followed when requests begin to wait; a target chosen for this load has the "
    "room beforehand"
)
_BURSTS = (
    "the bursts last two minutes, about as long as a pod takes to come and the queue to clear, and "
    "come back after thirteen. Pods that are kept for `scaleDown.stabilizationWindowSeconds` (300) "
    "are gone again before the next burst, so what they cost bought nothing. Knative drops them at "
    "once and, with a low target, spends the same pod-hours on pods that stand ready all the time"
)
_PUBLIC = (
    "the minutes of double load are over about when the pods that they asked for are "
    "ready, so that room that stands there beforehand does as much as a quick answer"
)
_LATE = (
    "while nodes are awaited for minutes, the pods that stood there before decide how many "
    "requests are late, and a low target has more. And a lower wish must hold for twice the "
    "learned start-up time, here eleven minutes, which costs pod-hours that this load, which does "
    "not come back, never repays"
)
_LATE_KPA = (
    "the same; and Knative asks for nodes at each flicker of the load and gives them back: such a "
    "node stands empty for ten minutes, costs no pod-hour, and is there when the step comes"
)
_IDLE_HPA = (
    "an HPA keeps one pod, and its cheapest setting takes nearly twice the pod-hours. Ours is at "
    "zero for half of each hour, so the first calls after that wait for a pod to start"
)
_IDLE_KPA = (
    "Knative goes to zero after 90 seconds of silence and ours after 600, so with a low target it "
    "can pay for up to twenty pods that clear the first minute's queue and are dropped a minute "
    "later. A pod that is started for a minute costs only that minute here; where starting one "
    "also costs a node's start and a model's load, count the pods made"
)

_CONSTANT_KPA = (
    "the medians differ by a fiftieth, and which is lower is the seed's chance: where nothing "
    "changes both keep the pods that the load needs"
)
_SPIKE_KPA = (
    "both ask for pods within seconds, and what is late is late because a pod takes a minute to "
    "start; the medians are the same"
)

_WHY: Mapping[tuple[str, str], str] = {
    ("constant", KPA): _CONSTANT_KPA,
    ("spike", KPA): _SPIKE_KPA,
    ("small step", HPA): _SMALL_STEP,
    ("small step", KPA): _SMALL_STEP,
    ("bursts", KPA): _BURSTS,
    ("public shape", HPA): _PUBLIC,
    ("late nodes", HPA): _LATE,
    ("late nodes", KPA): _LATE_KPA,
    ("mostly idle", HPA): _IDLE_HPA,
    ("mostly idle", KPA): _IDLE_KPA,
}


def why(verdict: Verdict) -> str:
    """A sentence without its end, for a verdict that is no win. Chance explains a draw too."""
    unknown = "no clear majority" if verdict.outcome is Outcome.DRAW else "not explained yet"
    return _WHY.get((verdict.trace, verdict.peer), unknown)
