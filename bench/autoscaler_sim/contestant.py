"""Who is compared, and with which settings.

Ours is judged by its defaults. The peers get theirs, and are also tuned: each trace is run with
many targets (and, for Knative, with a scale-down delay as long as the HPA's window), so that the
best of them can be picked with hindsight. Ours runs with another target too, to tell what tuning
would bring where its defaults lose.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.autoscaler_sim.hpa import Hpa
from bench.autoscaler_sim.kpa import Kpa
from bench.autoscaler_sim.ours import Tokens
from bench.autoscaler_sim.scaler import Bounds, Scaler

OURS, HPA, KPA = "llm-operator", "HPA", "Knative KPA"
PEERS = (HPA, KPA)
MOST_PODS = 20


@dataclass(frozen=True, slots=True)
class Contestant:
    """An algorithm with one setting."""

    name: str
    setting: str
    target: float
    """Share of a pod that its load should fill."""
    make: Callable[[Bounds, int], Scaler]
    is_default: bool = False

    def scaler(self, least: int, initial: int) -> Scaler:
        """A fresh one."""
        return self.make(Bounds(least, MOST_PODS, self.target), initial)


def _percent(target: float) -> str:
    return f"target {100 * target:.0f} %"


def _ours(target: float) -> Contestant:
    return Contestant(OURS, _percent(target), target, Tokens, is_default=target == 0.85)


def _hpa(target: float) -> Contestant:
    # 80 % is what autoscaling/v2 takes where no metric is named.
    return Contestant(HPA, _percent(target), target, Hpa, is_default=target == 0.8)


def _kpa(target: float) -> Contestant:
    # 70 %: container-concurrency-target-percentage.
    return Contestant(KPA, _percent(target), target, Kpa, is_default=target == 0.7)


def _patient_kpa(target: float) -> Contestant:
    make = partial(Kpa, down_delay=300.0)
    return Contestant(KPA, f"{_percent(target)}, scale-down-delay 300 s", target, make)


CONTESTANTS = (
    _ours(0.85),
    _ours(0.7),
    *(_hpa(target) for target in (0.5, 0.6, 0.7, 0.8, 0.9)),
    *(_kpa(target) for target in (0.4, 0.5, 0.6, 0.7)),
    *(_patient_kpa(target) for target in (0.6, 0.7, 0.85)),
)
