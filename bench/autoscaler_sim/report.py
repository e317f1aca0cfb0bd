"""What the simulations came to: figures for machines and a table for people."""

import statistics
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from bench.autoscaler_sim.campaign import Result
from bench.autoscaler_sim.contestant import OURS, PEERS
from bench.autoscaler_sim.verdict import Outcome, Verdict, default, verdicts
from bench.figures import Figure

Results = dict[str, list[Result]]
"""By the trace's name."""


def figures(results: Results) -> list[Figure]:
    """Per trace: violations against each tuned peer at equal pod-hours, and the defaults."""
    return [figure for each in results.values() for figure in _of_trace(each)]


def _of_trace(results: Sequence[Result]) -> Iterable[Figure]:
    found = verdicts(results)
    ours = found[0].ours
    for verdict in found:
        yield Figure(
            f"{ours.trace}: SLO violations by those of {verdict.peer}, tuned to our pod-hours",
            statistics.median(verdict.ratios),
            "ratio",
            target=1.0,
            peers={verdict.peer: 1.0},
        )
    for what, unit in (
        ("violations", "requests"),
        ("pod_hours", "h"),
        ("changes", "times"),
        ("starts", "pods"),
        ("lost", "requests"),
    ):
        yield Figure(
            f"{ours.trace}: {what.replace('_', ' ')}, all with defaults",
            getattr(ours.tally, what),
            unit,
            peers={v.peer: getattr(v.default.tally, what) for v in found},
        )


def show(results: Results, console: Console) -> None:
    """Prints what each algorithm did with its defaults, and the verdicts."""
    table = Table(
        title="Autoscalers, simulated: medians over the seeds",
        caption="tuned: violations with the peer's best setting for that load at our pod-hours; "
        "green: more than ours with four of five seeds, red: with one at most, yellow: a draw",
    )
    for heading in ("load", "algorithm"):
        table.add_column(heading)
    for heading in ("violations", "lost", "pod-h", "changes", "made", "tuned"):
        table.add_column(heading, justify="right")
    for name, each in results.items():
        tuned = {verdict.peer: _judged(verdict) for verdict in verdicts(each)}
        for row, algorithm in enumerate((OURS, *PEERS)):
            result = default(each, algorithm)
            table.add_row("" if row else name, *cells(result), tuned.get(algorithm, ""))
        table.add_section()
    console.print(table)


def cells(result: Result) -> tuple[str, ...]:
    """The algorithm and what it came to."""
    tally = result.tally
    share = 100 * tally.violations / max(1, tally.requests)
    return (
        result.contestant.name,
        f"{tally.violations:,.0f} ({share:.1f} %)",
        f"{tally.lost:.0f}",
        f"{tally.pod_hours:.1f}",
        f"{tally.changes:.0f}",
        f"{tally.starts:.0f}",
    )


_COLOURS = {Outcome.WIN: "green", Outcome.DRAW: "yellow", Outcome.LOSS: "red"}


def _judged(verdict: Verdict) -> str:
    colour = _COLOURS[verdict.outcome]
    return f"[{colour}]{verdict.tuned:,.0f}[/{colour}]"
