"""The report as a table for people. Needs rich, which the generator itself does not."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_LATENCIES = {
    "first token": "first_token_seconds",
    "inter-token": "inter_token_seconds",
    "whole answer": "whole_answer_seconds",
    "sent late": "lateness_seconds",
}


def show(found: Mapping[str, Any]) -> None:
    """Prints what `report.report` made: a column for each phase and one for the total."""
    columns = [*found["phases"], found["total"]] if len(found["phases"]) > 1 else [found["total"]]
    console = Console()
    table = Table(title="Load")
    table.add_column("")
    for column in columns:
        table.add_column(column.get("phase", "total"), justify="right", overflow="fold")
    for name, cells in zip(_names(), zip(*map(_cells, columns), strict=True), strict=True):
        table.add_row(name, *cells)
    console.print(table)
    used = found["generator"]
    console.print(
        f"The generator used {used['cpu_seconds']:.2f} s of CPU:"
        f" {used['cpu_milliseconds_per_request']:.2f} ms a request,"
        f" {used['cpu_microseconds_per_token']:.0f} us a token"
    )


def _names() -> Iterator[str]:
    yield from ("seconds", "sent", "answered", "lost", "aborted", "cancelled", "failed")
    yield from ("cut while answering", "short answers", "unsent (limit)")
    yield from ("answers/s", "good answers/s", "tokens/s", "good tokens/s")
    yield from (f"{name}, ms: p50 p90 p99" for name in _LATENCIES)


def _cells(column: Mapping[str, Any]) -> Iterator[str]:
    yield f"{column['seconds']:.1f}"
    for name in ("sent", "answered", "lost", "aborted", "cancelled"):
        yield str(column[name])
    errors = ", ".join(f"{code} {count}" for code, count in column["errors"].items())
    yield f"{column['failed']} ({errors})" if errors else "0"
    for name in ("cut", "short", "unsent"):
        yield str(column[name])
    for name in ("requests", "good_requests", "tokens", "good_tokens"):
        yield f"{column[f'{name}_per_second']:.2f}"
    for key in _LATENCIES.values():
        yield _milliseconds(column[key])


def _milliseconds(summary: Mapping[str, float | None]) -> str:
    """p50, p90 and p99."""
    shown = (summary[name] for name in ("p50", "p90", "p99"))
    return " ".join("-" if value is None else f"{1000 * value:.1f}" for value in shown)
