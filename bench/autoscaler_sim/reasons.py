"""Why ours does worse where it does: found by looking at the runs, told only where it does."""

from collections.abc import Mapping

from bench.autoscaler_sim.contestant import HPA, KPA
from bench.autoscaler_sim.verdict import Verdict

_BURSTS = (
    "the bursts last two minutes, about as long as a pod takes to come and the queue to clear, and "
    "come back after thirteen. Pods that are kept for `scaleDown.stabilizationWindowSeconds` (300) "
    "are gone again before the next burst, so what they cost bought nothing. Knative drops them at "
    "once and, with a low target, spends the same pod-hours on pods that stand ready all the time"
)
_LATE = (
    "while nodes are awaited for minutes, the pods that stood there before decide how many "
    "requests are late, and a low target has more of them. And a lower wish must hold for twice "
    "the learned start-up time, here eleven minutes, which costs pod-hours that this load, which "
    "does not come back, never repays"
)
_LATE_KPA = (
    f"{_LATE}. Knative also asks for nodes at each flicker of the load and gives them back: such a "
    "node stands empty for ten minutes, costs no pod-hour, and is there when the step comes"
)
_IDLE = (
    "Knative goes to zero after 90 seconds of silence and ours after 600, so with a low target it "
    "can pay for up to twenty pods to clear the first minute's queue and drop them a minute later. "
    "A pod that is started for a minute costs only that minute here; where starting one also costs "
    "a node's start and a model's load, count the pods made"
)

_WHY: Mapping[tuple[str, str], str] = {
    ("bursts", KPA): _BURSTS,
    ("late nodes", HPA): _LATE,
    ("late nodes", KPA): _LATE_KPA,
    ("mostly idle", KPA): _IDLE,
}


def why(verdict: Verdict) -> str:
    """A sentence without its end, for a verdict that is not ahead."""
    return _WHY.get((verdict.trace, verdict.peer), _by_chance(verdict))


def _by_chance(verdict: Verdict) -> str:
    more = verdict.ours.tally.violations / max(1.0, verdict.tuned) - 1
    if more <= 0.1:
        return f"{100 * more:.0f} % more, within what other seeds change"
    return "not explained yet"
