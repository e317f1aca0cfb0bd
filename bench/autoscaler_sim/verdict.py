"""Whether ours does better than a peer at equal pod-hours. Pure.

A peer's defaults may be cheaper and worse, or dearer and better, and then say nothing. So each peer
is given what it does with the setting that fits the load and our pod-hours best, known only
afterwards. Seeds are compared one by one: they differ more from each other than algorithms do.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bench.autoscaler_sim.campaign import Result
from bench.autoscaler_sim.contestant import OURS, PEERS
from bench.autoscaler_sim.frontier import Point, at, frontier


@dataclass(frozen=True, slots=True)
class Verdict:
    """Ours against one peer on one trace."""

    trace: str
    peer: str
    ours: Result
    default: Result
    """The peer's own defaults."""
    ratios: tuple[float, ...]
    """Per seed: our violations by those of the tuned peer at our pod-hours."""
    tuned: float
    """Violations of the tuned peer at our pod-hours: the median over the seeds."""
    is_beyond: bool
    """No setting of the peer is as cheap as ours: it is compared with its cheapest one."""
    also: tuple[str, ...]
    """Further settings of ours that are ahead at their pod-hours."""

    @property
    def seeds_ahead(self) -> int:
        """Seeds with fewer violations for the same pod-hours."""
        return sum(ratio < 1.0 for ratio in self.ratios)

    @property
    def is_ahead(self) -> bool:
        """With more than half of the seeds."""
        return _is_ahead(self.ratios)


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """Of one trace's results, one per peer."""
    return [_against(peer, results) for peer in PEERS]


def default(results: Iterable[Result], name: str) -> Result:
    """The result of an algorithm with its defaults."""
    return next(r for r in results if r.contestant.name == name and r.contestant.is_default)


def line(results: Iterable[Result], name: str) -> tuple[Point, ...]:
    """The frontier of an algorithm's settings."""
    mine = [r for r in results if r.contestant.name == name]
    return frontier((one.tally.pod_hours, one.tally.violations) for one in mine)


def _against(peer: str, results: Sequence[Result]) -> Verdict:
    ours = default(results, OURS)
    lines = [line(_of_seed(results, seed), peer) for seed in range(len(ours.runs))]
    further = [r for r in results if r.contestant.name == OURS and not r.contestant.is_default]
    cheapest = statistics.median(best[0][0] for best in lines)
    return Verdict(
        trace=ours.trace,
        peer=peer,
        ours=ours,
        default=default(results, peer),
        ratios=_ratios(ours, lines),
        tuned=statistics.median(_tuned(ours, lines)),
        is_beyond=ours.tally.pod_hours < cheapest,
        also=tuple(r.contestant.setting for r in further if _is_ahead(_ratios(r, lines))),
    )


def _of_seed(results: Iterable[Result], seed: int) -> list[Result]:
    """The runs of one seed, counted from 0."""
    return [replace(result, tally=result.runs[seed]) for result in results]


def _tuned(ours: Result, lines: Sequence[tuple[Point, ...]]) -> list[float]:
    """Per seed, the violations of the tuned peer at our pod-hours."""
    return [at(best, run.pod_hours) for best, run in zip(lines, ours.runs, strict=True)]


def _ratios(ours: Result, lines: Sequence[tuple[Point, ...]]) -> tuple[float, ...]:
    pairs = zip(ours.runs, _tuned(ours, lines), strict=True)
    return tuple(run.violations / max(1.0, tuned) for run, tuned in pairs)


def _is_ahead(ratios: Sequence[float]) -> bool:
    return 2 * sum(ratio < 1.0 for ratio in ratios) > len(ratios)
