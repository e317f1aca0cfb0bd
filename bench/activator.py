"""What the activator's proxy costs: `python -m bench.activator`.

One pod, one client, and between them nothing, a bare pass-through on grpc.aio (the peer), or the
activator; each is a process of its own. Rounds alternate between the three, so that a slow minute
of the machine hits all. Prints a table and writes build/bench/activator.json.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console

from bench import figures, processor
from bench.figures import Figure

SECONDS = 90.0
"""The whole benchmark takes no longer."""
ROUNDS = 3
CALLS = 400
"""Calls, and streamed messages, of a round at leisure."""
POUR_SECONDS = 2.0
STREAMS = (8, 32)
WAYS = ("direct", "bare", "activator")
OTHERS_LIMIT_PERCENT = 10.0
"""Of the machine's CPU time, what processes that are not ours may use under full load. Ours use all
of it, so that what is idle tells nothing."""


@dataclass(slots=True)
class Part:
    """A process of the benchmark and the port it listens on."""

    process: Process
    port: int = 0

    @property
    def cpu_seconds(self) -> float:
        """CPU time that it has used so far, in user and kernel mode (proc(5))."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    async def line(self) -> str:
        """The next line that it prints. Raises RuntimeError where it has ended."""
        assert self.process.stdout is not None
        text = (await self.process.stdout.readline()).decode()
        if not text:
            raise RuntimeError("A process of the benchmark ended early")
        return text


@asynccontextmanager
async def running(module: str, *arguments: str) -> AsyncIterator[Part]:
    """A process of the benchmark, which has ended when the block has."""
    command = [sys.executable, "-m", module, *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield Part(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(slots=True)
class Stage:
    """All processes, and what was measured on each way."""

    client: Part
    ways: dict[str, Part]
    pod: Part
    unary: dict[str, list[float]] = field(default_factory=dict)
    """Median seconds of a call, one value a round; so are `message` and the others."""
    message: dict[str, list[float]] = field(default_factory=dict)
    per_core: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    """Messages per CPU second of the proxy, by way and streams."""
    per_second: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    idle: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)

    async def ask(self, measurement: str, way: str, *arguments: float) -> float:
        """Lets the client measure."""
        assert self.client.process.stdin is not None
        order = json.dumps([measurement, self.ways[way].port, *arguments])
        self.client.process.stdin.write(order.encode() + b"\n")
        return float(await self.client.line())

    async def round(self, scale: float) -> None:
        """Measures everything once on every way; `scale` makes it shorter."""
        with processor.watched() as idle:
            for way in WAYS:
                seconds = await self.ask("unary", way, int(CALLS * scale))
                self.unary.setdefault(way, []).append(seconds)
                seconds = await self.ask("message", way, int(CALLS * scale))
                self.message.setdefault(way, []).append(seconds)
        self.idle.append(idle.percent)
        for streams in STREAMS:
            for way in WAYS:
                await self._pour(way, streams, POUR_SECONDS * scale)

    async def _pour(self, way: str, streams: int, pouring: float) -> None:
        ours = [self.client, self.pod, *(self.ways[each] for each in WAYS[1:])]
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.ways[way].cpu_seconds
        used = sum(part.cpu_seconds for part in ours)
        with processor.watched() as idle:
            rate = await self.ask("pour", way, streams, pouring)
        seconds = loop.time() - began
        share = 100 * (sum(part.cpu_seconds for part in ours) - used)
        self.others.append(100 - idle.percent - share / seconds / (os.cpu_count() or 1))
        key = (way, streams)
        self.per_second.setdefault(key, []).append(rate)
        cpu = self.ways[way].cpu_seconds - before
        self.per_core.setdefault(key, []).append(rate * seconds / max(cpu, 0.01))

    def figures(self) -> Iterator[Figure]:
        """Medians over the rounds."""
        for name, taken, target in (
            ("unary call: added, p50", self.unary, 1.5),
            ("streamed message: added, p50", self.message, 0.3),
        ):
            direct = median(taken["direct"])
            added = {way: 1000 * (median(taken[way]) - direct) for way in WAYS[1:]}
            peers = {"bare pass-through": added["bare"]}
            yield Figure(name, added["activator"], "ms", target, peers=peers)
        for streams in STREAMS:
            yield self._rate("per core", self.per_core, streams, 10_000)
            yield self._rate("per second", self.per_second, streams, None)
        least = processor.IDLE_LIMIT_PERCENT
        yield Figure("CPU idle, at leisure", median(self.idle), "%", least, "higher")
        limit = OTHERS_LIMIT_PERCENT
        yield Figure("CPU of other processes, full load", median(self.others), "%", limit)

    def _rate(
        self,
        what: str,
        taken: dict[tuple[str, int], list[float]],
        streams: int,
        target: float | None,
    ) -> Figure:
        peers = {"bare pass-through": median(taken["bare", streams])}
        if what == "per second":
            peers["no proxy"] = median(taken["direct", streams])
        value = median(taken["activator", streams])
        name = f"{streams} streams: messages {what}"
        return Figure(name, value, "1/s", target, "higher", peers=peers)

    @property
    def is_valid(self) -> bool:
        """Whether the machine was ours."""
        is_idle = median(self.idle) >= processor.IDLE_LIMIT_PERCENT
        return is_idle and median(self.others) <= OTHERS_LIMIT_PERCENT


async def measure(rounds: int = ROUNDS, scale: float = 1.0) -> Stage:
    """Starts all processes, measures a short round that warms up and `rounds` that count."""
    async with asyncio.timeout(SECONDS), AsyncExitStack() as stack:
        stage = await _stage(stack)
        await stage.round(0.1 * scale)
        warm = Stage(stage.client, stage.ways, stage.pod)
        for _ in range(rounds):
            await warm.round(scale)
        return warm


async def _stage(stack: AsyncExitStack) -> Stage:
    enter = stack.enter_async_context
    pod = await enter(running("bench.activator_parts", "pod"))
    pod.port = int(await pod.line())
    ways = {"direct": pod}
    for name in WAYS[1:]:
        ways[name] = await enter(running("bench.activator_parts", name, str(pod.port)))
        ways[name].port = int(await ways[name].line())
    return Stage(await enter(running("bench.activator_client")), ways, pod)


def main() -> None:
    """Measures, prints and writes; exit code 1 where the machine was not ours."""
    try:
        stage = asyncio.run(measure())
    except TimeoutError:
        raise SystemExit(f"invalid run: it took longer than {SECONDS:.0f} s") from None
    found = list(stage.figures())
    console = Console()
    figures.show("What the activator's proxy costs", found, console)
    if not stage.is_valid:
        raise SystemExit("invalid run, not written: other processes used the CPU")
    console.print(f"Written to {figures.write('activator', found)}")


if __name__ == "__main__":
    main()
