import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from llm_client.v1 import control_pb2 as pb
from llm_runtime.engine.bell import Bell
from llm_runtime.server.load_feed import LoadFeed
from llm_runtime.server.pacing import Pace

NEVER = 1000.0
SERVING, DRAINING = pb.LIFECYCLE_STATE_SERVING, pb.LIFECYCLE_STATE_DRAINING


class Watched:
    """A feed over a load that the test changes."""

    def __init__(self, pace: Pace, longest: float = NEVER) -> None:
        self.load = pb.GetLoadResponse(state=SERVING)
        self.bell = Bell()
        self.reads = 0
        self.feed = LoadFeed(self._read, self.bell, pace, longest)
        self.tasks: list[asyncio.Task[None]] = []

    def _read(self) -> pb.GetLoadResponse:
        self.reads += 1
        message = pb.GetLoadResponse()
        message.CopyFrom(self.load)
        return message

    def watch(self) -> asyncio.Queue[pb.GetLoadResponse]:
        told: asyncio.Queue[pb.GetLoadResponse] = asyncio.Queue()
        self.tasks.append(asyncio.create_task(self.feed.watch(told.put)))
        return told

    def enter(self, state: pb.LifecycleState.ValueType) -> None:
        self.load.state = state
        self.feed.announce()

    def become(self, waiting: int) -> None:
        self.load.waiting_requests = waiting
        self.bell.ring()


@pytest.fixture
async def watched() -> AsyncIterator[Callable[[Pace], Watched]]:
    """Makes feeds and ends their streams with the test."""
    made: list[Watched] = []

    def make(pace: Pace) -> Watched:
        made.append(Watched(pace))
        return made[-1]

    yield make
    for one in made:
        one.feed.close()
        await asyncio.gather(*one.tasks)


Make = Callable[[Pace], Watched]
STATES_ONLY = Pace(shortest=NEVER, longest=NEVER)
EVERY_CHANGE = Pace(shortest=0.0, longest=NEVER)


async def settle() -> None:
    """Lets everything that can run now do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_message_comes_at_once(watched: Make) -> None:
    assert (await watched(STATES_ONLY).watch().get()).state == SERVING


async def test_a_new_state_is_pushed_to_every_watcher_whatever_the_pace(watched: Make) -> None:
    pod = watched(STATES_ONLY)
    streams = [pod.watch() for _ in range(50)]
    for stream in streams:
        await stream.get()
    pod.become(3)  # waits for its turn, which a new state does not
    pod.enter(DRAINING)
    assert {(await stream.get()).state for stream in streams} == {DRAINING}


async def test_a_change_of_the_load_wakes_the_watchers(watched: Make) -> None:
    pod = watched(EVERY_CHANGE)
    stream = pod.watch()
    await stream.get()
    for waiting in (1, 2, 3):
        await settle()
        pod.become(waiting)
        assert (await stream.get()).waiting_requests == waiting


async def test_a_ring_without_a_change_sends_nothing(watched: Make) -> None:
    pod = watched(EVERY_CHANGE)
    stream = pod.watch()
    await stream.get()
    for _ in range(3):
        await settle()
        pod.bell.ring()
    await settle()
    assert stream.empty()


async def test_time_that_passes_is_no_change(watched: Make) -> None:
    pod = watched(EVERY_CHANGE)
    stream = pod.watch()
    await stream.get()
    await settle()
    pod.load.at_seconds, pod.load.request_seconds = 5.0, 3.0
    pod.bell.ring()
    await settle()
    assert stream.empty()
    pod.become(1)
    told = await stream.get()
    assert (told.waiting_requests, told.at_seconds, told.request_seconds) == (1, 5.0, 3.0)


async def test_a_watcher_between_two_messages_is_not_woken_by_steps(watched: Make) -> None:
    pod = watched(STATES_ONLY)
    stream = pod.watch()
    await stream.get()
    await settle()
    pod.become(1)
    await settle()
    reads = pod.reads
    for waiting in range(2, 500):
        pod.become(waiting)
        await settle()
    assert pod.reads == reads
    assert stream.empty()


async def test_an_idle_stream_says_that_it_is_alive(watched: Make) -> None:
    stream = watched(Pace(shortest=0.0, longest=0.01)).watch()
    for _ in range(5):
        assert (await asyncio.wait_for(stream.get(), 10)).state == SERVING


async def test_a_slow_reader_gets_the_newest_and_nothing_in_between(watched: Make) -> None:
    pod = watched(EVERY_CHANGE)
    gate, told = asyncio.Event(), []

    async def write(message: pb.GetLoadResponse) -> None:
        told.append(message.waiting_requests)
        await gate.wait()

    pod.tasks.append(asyncio.create_task(pod.feed.watch(write)))
    await settle()
    for waiting in range(1, 100):
        pod.become(waiting)
        await settle()
    gate.set()
    await settle()
    assert told == [0, 99]


async def test_closing_ends_all_streams_and_tells_a_last_state(watched: Make) -> None:
    pod = watched(STATES_ONLY)
    first, second = pod.watch(), pod.watch()
    await asyncio.gather(first.get(), second.get())
    pod.load.state = pb.LIFECYCLE_STATE_FAILED
    pod.feed.close()
    await asyncio.wait_for(asyncio.gather(*pod.tasks), 10)
    assert [stream.get_nowait().state for stream in (first, second)] == [
        pb.LIFECYCLE_STATE_FAILED
    ] * 2


async def test_a_feed_that_is_closed_says_one_thing_and_ends(watched: Make) -> None:
    pod = watched(STATES_ONLY)
    pod.feed.close()
    stream = pod.watch()
    await asyncio.wait_for(asyncio.gather(*pod.tasks), 10)
    assert stream.qsize() == 1


async def test_a_stream_ends_by_itself_after_its_time() -> None:
    pod = Watched(Pace(shortest=0.0, longest=0.01), longest=0.05)
    stream = pod.watch()
    await asyncio.wait_for(asyncio.gather(*pod.tasks), 10)
    assert stream.qsize() >= 1


async def test_a_watcher_that_went_away_is_forgotten(watched: Make) -> None:
    pod = watched(STATES_ONLY)
    stream = pod.watch()
    await stream.get()
    pod.tasks[0].cancel()
    await asyncio.gather(*pod.tasks, return_exceptions=True)
    pod.tasks.clear()
    assert not pod.feed._watchers
