"""What a benchmark reports: a table for people and build/bench/NAME.json for machines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    target: the value to reach; None where the figure is only told. better: which side is good.
    peers: the same measurement of other ways, in the same unit and run.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def write(name: str, figures: Sequence[Figure]) -> Path:
    """Writes build/bench/NAME.json and returns its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    for row in rows:
        del row["better"]
    path.write_text(json.dumps(rows, indent=1) + "\n")
    return path


def show(title: str, figures: Iterable[Figure], console: Console) -> None:
    """Prints the figures as a table."""
    table = Table(title=title)
    for heading, justify in (
        ("figure", "left"),
        ("value", "right"),
        ("target", "right"),
        ("met", "left"),
        ("peers", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        table.add_row(*_row(figure))
    console.print(table)


def _row(figure: Figure) -> tuple[str, ...]:
    mark = {None: "", True: "[green]yes[/green]", False: "[red]no[/red]"}[figure.met]
    sign = "<=" if figure.better == "lower" else ">="
    target = "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}"
    peers = ", ".join(f"{name} {value:.3g}" for name, value in figure.peers.items())
    return figure.name, f"{figure.value:.3g} {figure.unit}", target, mark, peers
