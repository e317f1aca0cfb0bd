import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest

from llm_runtime.backend.base import BackendError, CacheShape, StepInput, StepOutput
from llm_runtime.engine.batch import Load
from llm_runtime.engine.channel import Channel
from llm_runtime.engine.loop import Engine, EngineConfig
from llm_runtime.engine.observer import Silent
from llm_runtime.engine.request import End, Ending, Request, Stopping
from llm_runtime.engine.scheduler import Budget
from support.scripted_backend import ScriptedBackend

SHAPE = CacheShape(slots=2, context=4096, chunk=8)
VOCABULARY = 50


class Gated(ScriptedBackend):
    """Takes a step only when the test allows one; the first, a warm-up, is free."""

    def __init__(self) -> None:
        super().__init__(SHAPE, VOCABULARY)
        self.failure: Exception | None = None
        self._allowed = threading.Semaphore(1)
        self._at_gate = threading.Semaphore(0)

    def step(self, step: StepInput) -> StepOutput:
        if self.steps:
            self._at_gate.release()
        self._allowed.acquire()
        if self.failure:
            raise self.failure
        return super().step(step)

    def allow(self, steps: int) -> None:
        self._allowed.release(steps)

    async def reach_gate(self) -> None:
        """Returns when the engine has begun a step that was not allowed yet."""
        await asyncio.to_thread(self._at_gate.acquire)


def request(name: str, answer: int = 3) -> Request:
    return Request(name, [1, 2, 3], Stopping(answer))


async def collect(channel: Channel) -> tuple[list[int], End]:
    tokens: list[int] = []
    while True:
        delivery = await channel.receive()
        tokens.extend(delivery.tokens)
        if delivery.end is not None:
            return tokens, delivery.end


class Start(Protocol):
    """Starts an engine, by default on the machine's clock."""

    def __call__(
        self, backend: Gated, clock: Callable[[], float] = time.monotonic
    ) -> Awaitable[Engine]: ...


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts engines and ends them with the test."""
    started: list[tuple[Engine, Gated]] = []

    async def begin(backend: Gated, clock: Callable[[], float] = time.monotonic) -> Engine:
        engine = Engine(backend, EngineConfig(SHAPE, Budget(8, 4)), Silent(), clock)
        started.append((engine, backend))
        engine.start()
        await asyncio.wrap_future(engine.ready)
        return engine

    yield begin
    for engine, backend in started:
        engine.stop()
        backend.allow(1000)
        await asyncio.gather(asyncio.wrap_future(engine.ended), return_exceptions=True)


async def test_a_request_gets_its_tokens_and_its_end(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    backend.allow(3)
    tokens, end = await collect(engine.submit(request("a")))
    assert (len(tokens), end) == (3, End(Ending.LENGTH))


async def test_an_abort_during_a_step_takes_effect_before_the_next_one(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    channel = engine.submit(request("a", answer=100))
    await backend.reach_gate()
    engine.abort("a", Ending.CANCELLED)
    backend.allow(1)
    tokens, end = await collect(channel)
    assert (len(tokens), end.why) == (1, Ending.CANCELLED)
    assert engine.load == Load()
    assert len(backend.steps) == 2


async def test_ending_all_gives_every_request_its_answer_so_far(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    channels = [engine.submit(request(f"r{index}", answer=50)) for index in range(3)]
    backend.allow(1)
    await channels[0].receive()
    engine.end_all()
    backend.allow(1)
    ends = [end.why for _, end in [await collect(channel) for channel in channels]]
    assert ends == [Ending.DRAINED] * 3
    assert engine.cut_off == 3
    engine.forget_cut_off()
    assert engine.cut_off == 0


async def test_a_failing_backend_ends_every_request_and_the_engine(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    channels = [engine.submit(request(f"r{index}")) for index in range(4)]
    backend.failure = BackendError("broken")
    backend.allow(1)
    assert {(await collect(channel))[1].why for channel in channels} == {Ending.ENGINE_DEAD}
    with pytest.raises(BackendError, match="broken"):
        await asyncio.wrap_future(engine.ended)
    assert engine.load == Load()


async def test_a_dead_engine_answers_new_requests_at_once(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    backend.failure = BackendError("broken")
    backend.allow(1)
    await collect(engine.submit(request("a")))
    assert (await collect(engine.submit(request("b"))))[1].why is Ending.ENGINE_DEAD


async def test_a_model_that_cannot_be_loaded_is_never_ready() -> None:
    class Unloadable(ScriptedBackend):
        def load(self) -> None:
            raise BackendError("no such graph")

    engine = Engine(Unloadable(SHAPE, VOCABULARY), EngineConfig(SHAPE, Budget(8, 4)), Silent())
    engine.start()
    for future in (engine.ready, engine.ended):
        with pytest.raises(BackendError, match="no such graph"):
            await asyncio.wrap_future(future)


async def test_what_was_submitted_counts_as_waiting_before_the_engine_looks(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    engine.submit(request("a"))
    await backend.reach_gate()
    backend.allow(1)
    await backend.reach_gate()
    for index in range(5):  # the engine stands at the gate and sees none of them
        engine.submit(request(f"late{index}"))
    assert engine.load == Load(running=1, waiting=5, tokens_held=3, tokens_queued=15)


async def test_a_step_in_progress_shows_how_long_it_takes() -> None:
    now = [100.0]
    backend = Gated()
    engine = Engine(backend, EngineConfig(SHAPE, Budget(8, 4)), Silent(), clock=lambda: now[0])
    engine.start()
    await asyncio.wrap_future(engine.ready)
    idle = engine.stalled_seconds()
    engine.submit(request("a", answer=1))
    await backend.reach_gate()
    now[0] = 170.0
    stalled = engine.stalled_seconds()
    backend.allow(1)
    engine.stop()
    await asyncio.wrap_future(engine.ended)
    assert (idle, stalled, engine.stalled_seconds()) == (0.0, 70.0, 0.0)


async def test_sizes_are_of_running_requests_until_one_has_ended(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    channel = engine.submit(request("a", answer=3))
    backend.allow(2)
    for _ in range(3):
        await backend.reach_gate()
    running = engine.recent
    backend.allow(1)
    await collect(channel)
    ended = engine.recent
    assert (running.ended, running.mean_prompt, running.mean_output) == (0, 3.0, 2.0)
    assert (ended.ended, ended.mean_prompt, ended.mean_output) == (1, 3.0, 3.0)


async def test_a_request_that_never_got_a_token_has_no_size(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    channel = engine.submit(request("a"))
    await backend.reach_gate()
    waiting = engine.submit(request("b"))
    engine.abort("b", Ending.CANCELLED)
    backend.allow(3)
    await collect(waiting)
    await collect(channel)
    assert engine.recent.ended == 1


async def test_every_request_is_counted_as_received_once_but_those_that_a_dead_engine_got(
    start: Start,
) -> None:
    backend = Gated()
    engine = await start(backend)
    channels = [engine.submit(request(f"r{index}")) for index in range(3)]
    backend.failure = BackendError("broken")
    backend.allow(1)
    await asyncio.gather(*(collect(channel) for channel in channels))
    await collect(engine.submit(request("late")))
    assert engine.received == 3


async def test_requests_are_added_up_over_the_time_that_they_run_or_wait(start: Start) -> None:
    backend, now = Gated(), 100.0
    engine = await start(backend, lambda: now)
    now += 5
    channels = [engine.submit(request(f"r{index}", answer=1)) for index in range(3)]
    await backend.reach_gate()
    now += 2
    assert (engine.occupancy.at, engine.occupancy.request_seconds) == (7.0, 6.0)
    backend.allow(10)
    await asyncio.gather(*(collect(channel) for channel in channels))
    now += 9
    assert (engine.occupancy.at, engine.occupancy.request_seconds) == (16.0, 6.0)


async def test_the_bell_rings_for_every_change_of_the_load(start: Start) -> None:
    backend = Gated()
    engine = await start(backend)
    rung = asyncio.Event()

    async def news() -> Load:
        """The load after the next ring; the bell is armed before whatever causes it."""
        await asyncio.wait_for(rung.wait(), 10)
        rung.clear()
        engine.news.arm(rung.set)
        return engine.load

    engine.news.arm(rung.set)
    channel = engine.submit(request("a", answer=2))
    assert (await news()).waiting + engine.load.running == 1
    backend.allow(2)
    while (await news()) != Load():
        pass
    assert (await collect(channel))[1] == End(Ending.LENGTH)
