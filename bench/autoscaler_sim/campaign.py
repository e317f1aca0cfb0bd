"""Runs every contestant on a trace with several seeds and keeps medians."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

from bench.autoscaler_sim.contestant import CONTESTANTS, Contestant
from bench.autoscaler_sim.objective import Objective
from bench.autoscaler_sim.trace import Trace
from bench.autoscaler_sim.world import Outcome, Sample, World


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run came to, or the medians of several."""

    requests: float
    violations: float
    """Requests that were late, slow or lost."""
    late: float
    slow: float
    lost: float
    pod_hours: float
    paid_hours: float
    """With the nodes that were ordered and stood empty."""
    changes: float
    """Times that another number of pods was wanted."""
    starts: float
    """Pods that were made."""


@dataclass(frozen=True, slots=True)
class Result:
    """One contestant on one trace."""

    trace: str
    contestant: Contestant
    tally: Tally
    """Medians over the seeds."""
    runs: tuple[Tally, ...]
    """One per seed."""
    samples: tuple[Sample, ...]
    """Of the first seed, for the plots."""


def simulate(trace: Trace, contestant: Contestant) -> Outcome:
    """One run."""
    return World(trace, contestant.scaler(trace.min_replicas, trace.initial)).run()


def seeded(trace: Trace, seed: int) -> Trace:
    """The trace with other chances; seed 1 is the first."""
    return replace(trace, seed=100 * seed + trace.seed)


def tally(outcome: Outcome, objective: Objective) -> Tally:
    """Counts what came out."""
    requests = outcome.requests
    return Tally(
        requests=len(requests),
        violations=sum(map(objective.is_violated, requests)),
        late=sum(map(objective.is_late, requests)),
        slow=sum(map(objective.is_slow, requests)),
        lost=outcome.lost,
        pod_hours=outcome.pod_hours,
        paid_hours=outcome.paid_hours,
        changes=outcome.changes,
        starts=outcome.starts,
    )


def medians(tallies: Sequence[Tally]) -> Tally:
    """Field by field."""
    return Tally(
        *(statistics.median(getattr(one, field.name) for one in tallies) for field in fields(Tally))
    )


def compete(trace: Trace, seeds: Sequence[int], objective: Objective) -> Iterator[Result]:
    """Every contestant on the trace, one after another."""
    for contestant in CONTESTANTS:
        outcomes = [simulate(seeded(trace, seed), contestant) for seed in seeds]
        runs = tuple(tally(outcome, objective) for outcome in outcomes)
        samples = tuple(outcomes[0].samples)
        yield Result(trace.name, contestant, medians(runs), runs, samples)
