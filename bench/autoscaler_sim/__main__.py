"""`make bench-autoscaler-sim` simulates autoscalers, prints a table, writes figures and docs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import figures
from bench.autoscaler_sim import page, report
from bench.autoscaler_sim.campaign import compete
from bench.autoscaler_sim.contestant import CONTESTANTS
from bench.autoscaler_sim.objective import Objective
from bench.autoscaler_sim.trace import TRACES, Trace

NAME = "autoscaler_sim"
DOCS = Path(__file__).resolve().parents[2] / "docs"
SEEDS = 5


def main() -> None:
    """Runs what is asked for; without options everything, in about 20 minutes of one core."""
    asked = _arguments()
    console = Console()
    seeds = (asked.seed,) if asked.seed else tuple(range(1, SEEDS + 1))
    traces = [trace for trace in TRACES if asked.trace in (None, trace.name)]
    results = _run(traces, seeds, console)
    report.show(results, console)
    console.print(f"Figures: {figures.write(NAME, report.figures(results))}")
    if asked.write_docs:
        page.write(DOCS, results, len(seeds))
        console.print(f"Docs: {DOCS / page.NAME}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler_sim", description=__doc__)
    parser.add_argument("--trace", choices=[trace.name for trace in TRACES], help="only this load")
    parser.add_argument("--seed", type=int, help=f"only this seed instead of 1 to {SEEDS}")
    parser.add_argument("--write-docs", action="store_true", help="rewrite docs/autoscaling.md")
    asked = parser.parse_args()
    if asked.write_docs and (asked.trace or asked.seed):
        parser.error("--write-docs needs every load and seed")
    return asked


def _run(traces: Sequence[Trace], seeds: Sequence[int], console: Console) -> report.Results:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    results: report.Results = {}
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(traces) * len(CONTESTANTS))
        for trace in traces:
            progress.update(task, description=trace.name)
            results[trace.name] = []
            for result in compete(trace, seeds, Objective()):
                results[trace.name].append(result)
                progress.advance(task)
    return results


if __name__ == "__main__":
    main()
