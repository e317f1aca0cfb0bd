"""`python -m bench.load HOST:PORT --phase closed:streams=10,seconds=60`: see bench/load/README.md.

Exit codes: 0 no request was lost, 1 some were, 2 bad arguments, 130 and 143 interrupted.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bench.load.connections import Connections
from bench.load.course import Fate
from bench.load.generator import Generator
from bench.load.options import Settings, read_settings
from bench.load.phases import Phase
from bench.load.report import phase_name, report

_PROGRESS_SECONDS = 1.0


def main() -> None:
    """Runs the load and ends the program."""
    settings = read_settings(sys.argv[1:])
    sys.exit(asyncio.run(run(settings)))


async def run(settings: Settings) -> int:
    """Runs the load, tells about it as asked for, and returns the exit code."""
    say = _line if settings.output == "lines" else _silent
    connections = Connections(settings.target, settings.policy, retries=settings.retries)

    def begun(number: int, phase: Phase) -> None:
        say("phase", {"number": number, "phase": phase_name(phase)})

    generator = Generator(settings.plan, connections, begun)
    used = time.process_time()
    async with asyncio.TaskGroup() as group:
        companions = [group.create_task(_progress(generator, say))]
        if settings.stops_at_eof:
            companions.append(group.create_task(_stop_at_eof(generator)))
        interrupted = await _until_interrupted(generator)
        for companion in companions:
            companion.cancel()
    await connections.close()
    _tell(settings, generator, time.process_time() - used)
    return 128 + interrupted if interrupted else int(generator.total.fates[Fate.LOST] > 0)


async def _until_interrupted(generator: Generator) -> int:
    """Runs to the end or to the first SIGINT or SIGTERM; returns the signal's number or 0."""
    work = asyncio.create_task(generator.run())
    caught: list[int] = []

    def interrupt(number: int) -> None:
        caught.append(number)
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt, number)
    with suppress(asyncio.CancelledError):
        await work
    return caught[0] if caught else 0


async def _progress(generator: Generator, say: "Say") -> None:
    """A line a second."""
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        say("progress", {"phase": generator.phase, **generator.total.counts()})


async def _stop_at_eof(generator: Generator) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.read(4096):
        pass
    generator.stop()


Say = Callable[[str, dict[str, Any]], None]


def _line(event: str, facts: dict[str, Any]) -> None:
    """One JSON line; `at` is seconds since the epoch, to compare with other machines' events."""
    print(json.dumps({"event": event, "at": round(time.time(), 3), **facts}), flush=True)


def _silent(event: str, facts: dict[str, Any]) -> None:
    """Progress that nobody asked for."""


def _tell(settings: Settings, generator: Generator, cpu_seconds: float) -> None:
    begun = settings.plan.phases[: generator.phase + 1]
    found = report(begun, generator.tallies, generator.total, cpu_seconds)
    match settings.output:
        case "table":
            from bench.load import table  # rich is not where the generator runs in a pod

            table.show(found)
        case "json":
            print(json.dumps(found, indent=1))
        case "lines":
            _line("report", found)


if __name__ == "__main__":
    main()
