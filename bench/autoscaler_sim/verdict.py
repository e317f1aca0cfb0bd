"""Whether ours does better than a peer at equal pod-hours. Pure.

A peer's defaults may be cheaper and worse, or dearer and better, and then say nothing. So each peer
is given what it does with the setting that fits the load and our pod-hours best, known only
afterwards. Seeds are compared one by one: they differ more from each other than algorithms do.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.autoscaler_sim.campaign import Result
from bench.autoscaler_sim.contestant import OURS, PEERS
from bench.autoscaler_sim.frontier import Point, at, frontier


class Outcome(StrEnum):
    """How ours did against a peer."""

    WIN = "win"
    DRAW = "draw"
    LOSS = "loss"


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
    """No setting of the peer is as cheap as ours: it is compared with its cheapest one, which is
    no comparison at equal pod-hours."""
    also: tuple[str, ...]
    """Further settings of ours that win at their pod-hours."""

    @property
    def seeds_ahead(self) -> int:
        """Seeds with fewer violations for the same pod-hours."""
        return sum(ratio < 1.0 for ratio in self.ratios)

    @property
    def outcome(self) -> Outcome:
        """A win or a loss only where the seeds are nearly of one mind: three of five is chance."""
        return _outcome(self.ratios)


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
        also=tuple(
            r.contestant.setting for r in further if _outcome(_ratios(r, lines)) is Outcome.WIN
        ),
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


def _outcome(ratios: Sequence[float]) -> Outcome:
    """A win takes four of five seeds; one of five or none is a loss."""
    ahead = 5 * sum(ratio < 1.0 for ratio in ratios)
    if ahead >= 4 * len(ratios):
        return Outcome.WIN
    return Outcome.LOSS if ahead <= len(ratios) else Outcome.DRAW
