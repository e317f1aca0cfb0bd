"""Traces: CSV files with the columns seconds, prompt tokens, output tokens.

A first line that holds no number at all is a heading. Seconds count from the trace's start
and never go back.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.load.arrivals import Arrival
from bench.load.grammar import InvalidPlanError, check
from bench.load.lengths import MOST_TOKENS, Lengths

MOST_ROWS = 1_000_000


def read_trace(path: Path) -> tuple[Arrival, ...]:
    """Reads a trace. Raises InvalidPlanError, which names the file and the line."""
    try:
        with path.open(newline="") as lines:
            return tuple(parse_trace(str(path), lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidPlanError(f"{path}: cannot be read as a trace: {error}") from None


def parse_trace(name: str, lines: Iterable[str]) -> Iterator[Arrival]:
    """The arrivals of a trace's lines. Raises InvalidPlanError."""
    latest, count = 0.0, 0
    for line, cells in enumerate(csv.reader(lines), start=1):
        if not cells or (line == 1 and _is_heading(cells)):
            continue
        try:
            arrival = _arrival(cells, latest)
        except InvalidPlanError as error:
            raise InvalidPlanError(f"{name}, line {line}: {error}") from None
        latest, count = arrival.at, count + 1
        if count > MOST_ROWS:
            raise InvalidPlanError(f"{name}: more than {MOST_ROWS} rows; split the trace")
        yield arrival
    if not count:
        raise InvalidPlanError(f"{name}: holds no request")


def _arrival(cells: Sequence[str], latest: float) -> Arrival:
    if len(cells) != 3:
        raise InvalidPlanError(
            f"has {len(cells)} columns; seconds, prompt tokens and output tokens are needed"
        )
    at, prompt, output = (
        _number(name, cell)
        for name, cell in zip(("seconds", "prompt tokens", "output tokens"), cells, strict=True)
    )
    if at < latest:
        raise InvalidPlanError(f"seconds is {at:g}, before the line above; sort the trace")
    check("prompt tokens", prompt, 1, MOST_TOKENS)
    check("output tokens", output, 1, MOST_TOKENS)
    return Arrival(at, Lengths(int(prompt), int(output)))


def _number(name: str, cell: str) -> float:
    if not _is_number(cell):
        raise InvalidPlanError(f"{name} is {cell!r}, not a number")
    return float(cell)


def _is_heading(cells: Sequence[str]) -> bool:
    return not any(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
