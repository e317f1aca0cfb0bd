"""A benchmark of several parts, each kept by itself: another part's failure loses nothing."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from demo.kubectl import CommandError
from rich.console import Console

from bench import figures, pod_cgroup, processor
from bench.figures import Figure
from bench.section import replaced
from llm_runtime.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")
Part = Callable[[], Iterator[Figure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark(Generic[T]):
    """What `make bench-<name>` measures, and where it writes.

    Attributes:
        name: of build/bench/<name>.json and docs/<name>.md.
        about: what `--help` says.
        alone: what needs no cluster, and is measured before there is one.
        parts: what needs what `prepared` gives.
    """

    name: str
    about: str
    alone: Mapping[str, Part]
    parts: Mapping[str, Callable[[T], Iterator[Figure]]]
    prepared: Callable[[], AbstractContextManager[T]]

    @property
    def command(self) -> str:
        return f"bench-{self.name}"

    def main(self) -> None:
        """Measures and writes the figures; exit code 1 where a part is missing."""
        chosen = self._arguments()
        results = _Results(self.name, Console(stderr=True))
        for name in _named(self.alone, chosen.only):
            results.add(name, self.alone[name])
        if names := _named(self.parts, chosen.only):
            with self.prepared() as ground:
                for name in names:
                    part = partial(self.parts[name], ground)
                    results.add(name, partial(_with_idle_share, name, part))
        found = {name: figures.kept(self.name, name) for name in (*self.alone, *self.parts)}
        measured = [figure for part in found.values() for figure in part]
        figures.show(self.name.capitalize(), measured, Console())
        path = figures.write(self.name, measured)
        Console().print(f"Written: {path.relative_to(ROOT)}")
        missing = [name for name, part in found.items() if not part]
        if results.failed or (missing and not chosen.only):
            sys.exit(1)
        if chosen.write_docs:
            self._write_docs(measured, missing)

    def _write_docs(self, measured: list[Figure], missing: list[str]) -> None:
        if missing:
            raise SystemExit(f"not written, because never measured here: {', '.join(missing)}")
        page = ROOT / "docs" / f"{self.name}.md"
        text = figures.table(f"make {self.command}", measured)
        page.write_text(replaced(page.read_text(), self.command, text))

    def _arguments(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=self.about)
        parser.add_argument(
            "--only",
            choices=[*self.parts, *self.alone],
            help="measure one part again; the others are kept",
        )
        parser.add_argument(
            "--write-docs", action="store_true", help=f"rewrite docs/{self.name}.md"
        )
        return parser.parse_args()


def _with_idle_share(name: str, part: Part) -> Iterator[Figure]:
    """The part, and how much of the machine was idle meanwhile: on a full one it measures the wait
    for the CPU."""
    with processor.watched() as idle:
        yield from part()
    limit = processor.IDLE_LIMIT_PERCENT
    yield Figure(f"{name}: idle CPU", idle.percent, "%", limit, "higher")


@dataclass(slots=True)
class _Results:
    """The parts that could not be measured; those that could are kept in build/bench/parts."""

    benchmark: str
    console: Console
    failed: list[str] = field(default_factory=list)

    def add(self, name: str, part: Part) -> None:
        """Measures one part; its failure does not end the others."""
        self.console.print(f"[bold cyan]Measuring: {name}[/bold cyan]")
        figures.keep(self.benchmark, name, [])  # nothing old stands in for what fails now
        try:
            figures.keep(self.benchmark, name, list(part()))
        except _FAILURES as error:
            self.console.print(f"[red]{name} could not be measured: {error}[/red]")
            self.failed.append(name)


_FAILURES = (
    CommandError,
    TimeoutError,
    ModelError,
    processor.BusyError,
    pod_cgroup.NotHereError,
)


def _named(parts: Mapping[str, object], only: str | None) -> list[str]:
    return [name for name in parts if only in (None, name)]
