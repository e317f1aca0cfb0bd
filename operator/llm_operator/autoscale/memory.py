"""What is remembered of an LLMDeployment between two decisions: bounded, in the leader's memory."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale import schedule
from llm_operator.autoscale.arrivals import Arrivals, worth
from llm_operator.autoscale.demand import Load, Profile, measure
from llm_operator.autoscale.guard import Guard
from llm_operator.autoscale.idle import Quiet
from llm_operator.autoscale.knee import Knees
from llm_operator.autoscale.observation import Observation
from llm_operator.autoscale.policies import Change
from llm_operator.autoscale.reason import DecisionReason
from llm_operator.autoscale.reckoning import Reckoning
from llm_operator.autoscale.relapse import Relapse
from llm_operator.autoscale.schedule import Floor
from llm_operator.autoscale.startup import Startups
from llm_operator.autoscale.windows import Highest, Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was told last, and what may be told next."""

    desired: int
    reason: DecisionReason = DecisionReason.STEADY
    message: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    next: DecisionReason | None = None
    """A reason to keep `desired` that has not held for long enough to be told."""
    next_since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything that a decision knows besides what it sees."""

    now: float
    """When it was written: time does not run backwards even where a clock does."""
    shown: Shown
    started_at: float
    burst_at: float = -math.inf
    """When the short window last asked for far more than what was ready."""
    raised_at: float = -math.inf
    """When pods were last added."""
    stable: Mean = field(default_factory=Mean)
    """Load in pods that new ones are needed for, silent pods counted as idle: what scales up."""
    cautious: Mean = field(default_factory=Mean)
    """Load in pods without what is only to be cleared of a queue, silent pods counted as full: what
    scales down. Pods that a queue alone asked for may go when it is gone."""
    sudden: Mean = field(default_factory=Mean)
    """`stable` over the short window."""
    reckoning: Reckoning = field(default_factory=Reckoning)
    queued_since: float | None = None
    """Since when requests wait for a slot without a break."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    wanted_low: Highest = field(default_factory=Highest)
    """Minus the counts that scaling up wanted."""
    wanted_high: Highest = field(default_factory=Highest)
    """Counts that scaling down would have left."""
    changes: tuple[Change, ...] = ()
    relapse: Relapse = field(default_factory=Relapse)
    profile: Profile = field(default_factory=Profile)
    knees: Knees = field(default_factory=Knees)
    guard: Guard = field(default_factory=Guard)
    quiet: Quiet = field(default_factory=Quiet)
    startups: Startups = field(default_factory=Startups)
    floor: Floor = field(default_factory=Floor)

    @classmethod
    def after_restart(
        cls,
        current: int,
        now: float,
        reason: DecisionReason = DecisionReason.STEADY,
        message: str = "",
    ) -> "Memory":
        """What a leader starts with: as if a burst had just been, so that nothing is scaled down
        on what it has not seen. `reason` and `message`: as status tells them, to be kept while
        they hold."""
        shown = Shown(desired=current, reason=reason, message=message)
        return cls(now=now, shown=shown, started_at=now, wanted_high=Highest(((now, current),)))

    def see(self, observation: Observation, spec: AutoscalingSpec) -> tuple["Memory", Load]:
        """With what there is now, and the load that it makes."""
        now = observation.now
        knees = self.knees.see(now, observation.pods)
        load = measure(observation, self.profile, knees, spec)
        brief, stable = spec.panic.window_seconds, spec.stable_window_seconds
        arrivals = self.arrivals.see(observation, stable)
        reckoning = self.reckoning.see(observation)
        moment = reckoning.moment
        needed, lasting = (
            _reckoned(pods, load, reckoning) for pods in worth(load, arrivals, now, brief)
        )
        full = load.missing * spec.targets.utilization / 100
        floor = self.floor
        if not floor.holds(now, spec.schedules):
            floor = schedule.floor(now, spec.schedules)
        memory = replace(
            self,
            now=now,
            stable=self.stable.see(moment, needed.pods, stable, needed.missed),
            cautious=self.cautious.see(moment, lasting.pods + full, stable, lasting.missed),
            sudden=self.sudden.see(moment, needed.pods, brief, needed.missed),
            reckoning=reckoning,
            queued_since=_since(self.queued_since, now) if load.waiting else None,
            arrivals=arrivals,
            profile=load.profile,
            knees=knees,
            guard=self.guard.see(observation, load, spec.targets),
            quiet=self.quiet.see(observation, load),
            startups=self.startups.see(observation),
            floor=floor,
        )
        return memory, load


class _Reckoned(NamedTuple):
    """A load, counted in pods, as of the moment of which all is known."""

    pods: float
    missed: float
    """Pod-seconds before that moment that its mean lacks."""


def _reckoned(pods: float, load: Load, reckoning: Reckoning) -> _Reckoned:
    each = load.each(pods)
    return _Reckoned(max(0.0, pods + reckoning.moved * each), reckoning.missed * each)


def _since(known: float | None, now: float) -> float:
    return now if known is None else known
