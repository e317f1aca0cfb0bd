"""Whether ours does better than a peer at equal pod-hours. Pure.

A peer's defaults may be cheaper and worse, or dearer and better, and then say nothing. So each peer
is given what it does with the setting that fits the trace and our pod-hours best, known only
afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    tuned: float
    """Violations of the tuned peer at our pod-hours."""
    cheapest: float
    """The fewest pod-hours that any of its settings took."""
    also: tuple[str, ...] = ()
    """Further settings of ours that are ahead at their pod-hours."""

    @property
    def is_ahead(self) -> bool:
        """Fewer violations for the same pod-hours."""
        return self.ours.tally.violations < self.tuned

    @property
    def is_beyond(self) -> bool:
        """No setting of the peer is as cheap as ours: it is compared with its cheapest one."""
        return self.ours.tally.pod_hours < self.cheapest


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """Of one trace's results, one per peer."""
    ours = default(results, OURS)
    return [_against(peer, ours, results) for peer in PEERS]


def default(results: Iterable[Result], name: str) -> Result:
    """The result of an algorithm with its defaults."""
    return next(r for r in results if r.contestant.name == name and r.contestant.is_default)


def line(results: Iterable[Result], name: str) -> tuple[Point, ...]:
    """The frontier of an algorithm's settings."""
    mine = [r for r in results if r.contestant.name == name]
    return frontier((one.tally.pod_hours, one.tally.violations) for one in mine)


def _against(peer: str, ours: Result, results: Sequence[Result]) -> Verdict:
    best = line(results, peer)
    further = [r for r in results if r.contestant.name == OURS and r is not ours]
    return Verdict(
        trace=ours.trace,
        peer=peer,
        ours=ours,
        default=default(results, peer),
        tuned=at(best, ours.tally.pod_hours),
        cheapest=best[0][0],
        also=tuple(
            one.contestant.setting
            for one in further
            if one.tally.violations < at(best, one.tally.pod_hours)
        ),
    )
