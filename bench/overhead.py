"""What scheduler and gRPC add to a bare loop over the session.

The same steps twice: served (a `llm-runtime serve` process and streaming clients in this one), and
bare (the steps that the engine's batch plans for these requests, replayed with an argmax and
nothing else). Rounds alternate, so that a slow minute of the machine hits both. Each pair of
sessions is loaded anew, because where the weights come to lie in memory makes sessions differ by
more than what is measured; what that leaves open is told as an interval.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from pathlib import Path

from llm_client import Client, Options, connect
from llm_runtime.backend.base import Backend, CacheShape, StepInput, StepOutput
from llm_runtime.backend.ort import OrtBackend
from llm_runtime.commands.serve import build
from llm_runtime.engine.batch import Batch
from llm_runtime.engine.observer import Silent
from llm_runtime.engine.request import End, Request, Stopping
from llm_runtime.engine.scheduler import Budget
from llm_runtime.export.manifest import load_manifest
from llm_runtime.settings import read_settings
from llm_runtime.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests that start together: equal prompt lengths, equal answer lengths, greedy."""

    requests: int
    prompt_tokens: int
    new_tokens: int

    @property
    def generated(self) -> int:
        """Tokens that come out of it."""
        return self.requests * self.new_tokens

    def prompt(self, number: int) -> list[int]:
        """Token ids of one prompt; each differs from the others."""
        return [(number * 37 + position * 11) % 199 + 5 for position in range(self.prompt_tokens)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Medians over the rounds of one pair of sessions, in seconds for the whole workload."""

    bare: float
    served: float

    @property
    def percent(self) -> float:
        """Time added, in percent of the bare loop."""
        return 100 * (self.served / self.bare - 1)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What was measured of a workload that generates so many tokens."""

    pairs: Sequence[Pair]
    generated: int

    @property
    def bare(self) -> float:
        """Seconds of the bare loop."""
        return statistics.median(pair.bare for pair in self.pairs)

    @property
    def served(self) -> float:
        """Seconds until all answers have arrived."""
        return statistics.median(pair.served for pair in self.pairs)

    @property
    def percent(self) -> float:
        """Time added, in percent of the bare loop."""
        return statistics.median(pair.percent for pair in self.pairs)

    @property
    def interval(self) -> tuple[float, float]:
        """Within which the true median of the percentage lies, with 95 % or more."""
        return median_interval([pair.percent for pair in self.pairs])

    @property
    def microseconds_per_token(self) -> float:
        """Time added to each generated token."""
        return 1e6 * (self.served - self.bare) / self.generated


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """An interval that holds the median of what the values are drawn from with 95 % or more, if
    they are six at least: as the sign test has it, without a shape of their distribution."""
    ordered, count = sorted(values), len(values)
    beyond, outside = 0, 2 * 0.5**count
    while outside + 2 * comb(count, beyond + 1) * 0.5**count <= 0.05:
        beyond += 1
        outside += 2 * comb(count, beyond) * 0.5**count
    return ordered[beyond], ordered[-1 - beyond]


class _Recorder:
    """Passes steps on to a backend and remembers them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.steps: list[StepInput] = []

    def load(self) -> None:
        """The backend is loaded already."""

    def step(self, step: StepInput) -> StepOutput:
        """Remembers the step and computes it."""
        self.steps.append(step)
        return self._backend.step(step)

    def close(self) -> None:
        """The backend's owner closes it."""


class _Sink:
    """Takes tokens and forgets them."""

    def push(self, token: int) -> bool:  # noqa: ARG002
        """There is always room."""
        return True

    def close(self, end: End) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the server makes of its settings for the workload: caches, budget and threads."""

    shape: CacheShape
    budget: Budget
    threads: int

    @classmethod
    def of(cls, artifact: Path, workload: Workload) -> "Room":
        """Asks the server's own planning; nothing is loaded."""
        settings = read_settings(_environment(artifact, workload))
        config = build(settings, Metrics())[0].config
        return cls(config.shape, config.budget, settings.threads)

    def backend(self, artifact: Path) -> OrtBackend:
        """A session of its own over the artifact's graph, not yet loaded."""
        graph = load_manifest(artifact).graph
        return OrtBackend(artifact / graph.file, graph.layout, self.shape, self.threads)


def plan_steps(backend: Backend, workload: Workload, room: Room) -> list[StepInput]:
    """The steps that the engine makes of the workload when all requests are there at once."""
    recorder = _Recorder(backend)
    batch: Batch[_Sink] = Batch(recorder, room.shape, room.budget, Silent(), time.monotonic)
    for number in range(workload.requests):
        request = Request(
            id=str(number),
            prompt=workload.prompt(number),
            stopping=Stopping(max_new_tokens=workload.new_tokens),
        )
        batch.add(request, _Sink(), 0.0)
    while not batch.is_idle:
        batch.step()
    return recorder.steps


def replay(backend: Backend, steps: list[StepInput]) -> float:
    """Seconds that the steps take with nothing around them but the choice of the token."""
    start = time.perf_counter()
    for step in steps:
        backend.step(step).logits.argmax(-1)
    return time.perf_counter() - start


async def serve_once(target: str, workload: Workload) -> float:
    """Seconds until the last token of all streams, over a channel that is connected already."""
    async with connect(target) as client:
        await client.model_info()
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(workload.requests):
                group.create_task(_drink(client, workload, number))
        return time.perf_counter() - start


async def _drink(client: Client, workload: Workload, number: int) -> None:
    options = Options(max_new_tokens=workload.new_tokens, ignore_eos=True, temperature=0.0)
    stream = client.stream(workload.prompt(number), options, timeout=600)
    async for _ in stream:
        pass


def measure(artifact: Path, workload: Workload, rounds: int, pairs: int) -> Overhead:
    """Serves and replays the workload in turns, in `pairs` pairs of sessions that are loaded anew;
    of each pair's `rounds` + 1 rounds the first warms up."""
    room = Room.of(artifact, workload)
    found = [_pair(artifact, workload, room, rounds) for _ in range(pairs)]
    return Overhead(found, workload.generated)


def _pair(artifact: Path, workload: Workload, room: Room, rounds: int) -> Pair:
    backend = room.backend(artifact)
    backend.load()
    steps = plan_steps(backend, workload, room)
    bare: list[float] = []
    served: list[float] = []
    with serving(artifact, workload) as target:
        for _ in range(rounds + 1):
            bare.append(replay(backend, steps))
            served.append(asyncio.run(serve_once(target, workload)))
    backend.close()
    return Pair(statistics.median(bare[1:]), statistics.median(served[1:]))


@contextmanager
def serving(artifact: Path, workload: Workload) -> Iterator[str]:
    """A `llm-runtime serve` process over the artifact, on whichever ports are free."""
    command = [sys.executable, "-m", "llm_runtime", "serve"]
    environment = {**os.environ, **_environment(artifact, workload)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    log = process.stderr or ()
    # What is not read would fill the pipe and stop the server.
    reader = threading.Thread(target=deque, args=(log, 0), daemon=True)
    with process:
        try:
            target = f"127.0.0.1:{_data_port(log)}"
            reader.start()
            asyncio.run(_answers(target))
            yield target
        finally:
            process.terminate()
            if reader.is_alive():
                reader.join(30)


def _data_port(log: Iterable[str]) -> int:
    """The port that the server says it has opened. Raises RuntimeError when it ends before that."""
    told = ""
    for line in log:
        told += line
        if "Opened the data port" in line:
            return int(json.loads(line)["port"])
    raise RuntimeError(f"llm-runtime serve ended without a port: {told[-2000:]}")


def _environment(artifact: Path, workload: Workload) -> dict[str, str]:
    return {
        "LLM_DATA_PORT": "0",
        "LLM_CONTROL_PORT": "0",
        "LLM_METRICS_PORT": "0",
        "LLM_MODEL_DIR": str(artifact),
        "LLM_MODEL_NAME": "bench",
        "LLM_MAX_CONCURRENT_SEQUENCES": str(workload.requests),
        "LLM_MAX_CONTEXT_LENGTH": str(workload.prompt_tokens + workload.new_tokens),
        "LLM_LAME_DUCK_SECONDS": "0",
    }


async def _answers(target: str) -> None:
    """Returns when the server says what it serves."""
    async with connect(target) as client:
        await client.model_info(timeout=120)
