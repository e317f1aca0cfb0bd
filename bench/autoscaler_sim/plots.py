"""Plots for docs/autoscaling.md: pods along time per trace, and violations by pod-hours."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from bench.autoscaler_sim.campaign import Result, seeded
from bench.autoscaler_sim.contestant import HPA, KPA, OURS, PEERS
from bench.autoscaler_sim.offered import offered
from bench.autoscaler_sim.trace import MINUTE, Trace
from bench.autoscaler_sim.verdict import default, line

COLOURS = {OURS: "#1f5fbf", HPA: "#d9730d", KPA: "#3c9a5f"}
LOAD = "#d5d8dd"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
LOAD_SPAN_SECONDS = 30.0


def courses(path: Path, trace: Trace, results: Sequence[Result], seed: int) -> None:
    """Ready pods of each algorithm with its defaults, above the load that clients offer."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 2.7), layout="constrained")
        moments = _steps(0.0, trace.seconds, LOAD_SPAN_SECONDS)
        load = offered(seeded(trace, seed).requests(), moments)
        minutes = [at / MINUTE for at in moments[1:]]
        axes.fill_between(minutes, load, step="pre", color=LOAD, linewidth=0, label="offered load")
        for name, width in ((KPA, 0.9), (HPA, 1.4), (OURS, 1.9)):
            samples = default(results, name).samples
            times = [sample.at / MINUTE for sample in samples]
            ready = [sample.ready for sample in samples]
            axes.step(times, ready, where="post", color=COLOURS[name], lw=width, label=name)
        axes.set(
            xlabel="minutes", ylabel="ready pods", xlim=(0, trace.seconds / MINUTE), ylim=(0, None)
        )
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color="#ececec")
        _legend(figure, axes)
        _save(figure, path)


def frontiers(path: Path, results: dict[str, list[Result]]) -> None:
    """Per trace: what settings of the peers cost and bring, and where ours is."""
    columns = 3
    rows = -(-len(results) // columns)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(9, 2.4 * rows), layout="constrained", squeeze=False
        )
        cells = list(itertools.chain.from_iterable(grid))
        for axes, (name, each) in zip(cells, results.items(), strict=False):
            _frontier(axes, name, each)
        for axes in cells[len(results) :]:
            axes.set_axis_off()
        for row in grid:
            row[0].set_ylabel("SLO violations, %")
        figure.supxlabel("pod-hours", fontsize=9)
        _legend(figure, cells[0])
        _save(figure, path)


def _frontier(axes: Any, name: str, results: Sequence[Result]) -> None:
    requests = default(results, OURS).tally.requests
    highest = 0.0
    for peer in PEERS:
        best = line(results, peer)
        shares = [100 * violations / requests for _, violations in best]
        hours = [hours for hours, _ in best]
        highest = max(highest, *shares)
        axes.plot(hours, shares, "o-", ms=3.5, lw=1.2, color=COLOURS[peer], label=f"{peer}, tuned")
    ours = default(results, OURS).tally
    share = 100 * ours.violations / requests
    axes.plot(ours.pod_hours, share, "*", ms=12, color=COLOURS[OURS], label=f"{OURS}, defaults")
    axes.set_title(name, fontsize=9)
    axes.set_ylim(0, 1.25 * min(3 * share, max(share, highest)))
    axes.grid(color="#ececec")


def _steps(start: float, end: float, step: float) -> list[float]:
    return [start + step * i for i in range(int((end - start) / step) + 1)]


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
