"""What the keyed queue promises. Time is looptime's: no test waits for real."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from llm_operator.reconcile.queue import Backoff, KeyedQueue, resync

pytestmark = pytest.mark.looptime


def a_queue() -> KeyedQueue[str]:
    return KeyedQueue(backoff=Backoff(first=1.0, limit=300.0, draw=lambda: 0.0))


@dataclass
class Diary:
    """A worker that writes down when which key ran, and does what the test says."""

    act: Callable[[str], Awaitable[float | None]] | None = None
    runs: list[tuple[float, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def __call__(self, key: str) -> float | None:
        self.runs.append((round(asyncio.get_running_loop().time(), 3), key))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.act(key) if self.act else None
        finally:
            self.at_once -= 1

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.runs]


async def run_for(queue: KeyedQueue[str], work: Diary, seconds: float, *, workers: int = 8) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await queue.run(work, workers=workers)


async def test_many_events_of_one_key_make_one_run() -> None:
    queue, work = a_queue(), Diary()
    for _ in range(100):
        queue.add("a")
    await run_for(queue, work, 5)
    assert work.runs == [(0.0, "a")]
    assert len(queue) == 0


async def test_an_event_during_a_run_makes_one_more_run_afterwards() -> None:
    queue = a_queue()

    async def slow(key: str) -> None:
        if len(work.runs) == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(3)

    work = Diary(act=slow)
    queue.add("a")
    await run_for(queue, work, 20)
    assert work.times == [0.0, 3.0]
    assert work.most_at_once == 1


async def test_different_keys_run_side_by_side_up_to_the_number_of_workers() -> None:
    queue, work = a_queue(), Diary(act=lambda _: asyncio.sleep(1, None))
    for key in "abcdef":
        queue.add(key)
    await run_for(queue, work, 10, workers=2)
    assert work.most_at_once == 2
    assert work.times == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]


async def test_a_slow_key_does_not_hold_up_the_others() -> None:
    queue = a_queue()
    work = Diary(act=lambda key: asyncio.sleep(100 if key == "slow" else 0, None))
    queue.add("slow")
    queue.add("quick")
    await run_for(queue, work, 5, workers=2)
    assert (0.0, "quick") in work.runs


async def test_a_failed_run_comes_back_with_growing_delays() -> None:
    queue = a_queue()

    async def fail(_: str) -> None:
        raise OSError("no route")

    work = Diary(act=fail)
    queue.add("a")
    await run_for(queue, work, 40)
    assert work.times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]


async def test_the_first_success_resets_the_delay() -> None:
    queue = a_queue()

    async def fail_thrice_then_once(_: str) -> None:
        if len(work.runs) in (1, 2, 3, 5):
            raise OSError("no route")
        if len(work.runs) == 4:
            queue.add_after("a", 10)

    work = Diary(act=fail_thrice_then_once)
    queue.add("a")
    await run_for(queue, work, 60)
    assert work.times == [0.0, 1.0, 3.0, 7.0, 17.0, 18.0]


async def test_a_failure_that_got_further_than_the_last_one_starts_the_delays_anew() -> None:
    queue = a_queue()

    class FurtherError(Exception):
        made_progress = True

    async def fail(_: str) -> None:
        raise FurtherError if len(work.runs) == 4 else OSError("no route")

    work = Diary(act=fail)
    queue.add("a")
    await run_for(queue, work, 12)
    assert work.times == [0.0, 1.0, 3.0, 7.0, 8.0, 10.0]


async def test_an_event_wakes_a_key_that_is_backing_off_but_not_more_than_once_a_second() -> None:
    queue = a_queue()

    async def fail_and_be_noticed(key: str) -> None:
        asyncio.get_running_loop().call_later(0.01, queue.add, key)
        raise OSError("no route")

    work = Diary(act=fail_and_be_noticed)
    queue.add("a")
    await run_for(queue, work, 10.5)
    gaps = [after - before for before, after in zip(work.times, work.times[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 0.999  # written down in milliseconds


async def test_an_event_during_a_failing_run_does_not_skip_the_delay() -> None:
    queue = a_queue()

    async def fail(key: str) -> None:
        queue.add(key)
        raise OSError("no route")

    work = Diary(act=fail)
    queue.add("a")
    await run_for(queue, work, 2.5)
    assert work.times == [0.0, 1.0, 2.0]


async def test_a_delay_that_the_server_asked_for_is_obeyed_even_when_events_come() -> None:
    queue = a_queue()

    class ThrottledError(Exception):
        retry_after = 20.0

    async def fail(key: str) -> None:
        asyncio.get_running_loop().call_later(1, queue.add, key)
        raise ThrottledError

    work = Diary(act=fail)
    queue.add("a")
    await run_for(queue, work, 30)
    assert work.times == [0.0, 20.0]


async def test_a_run_may_ask_to_come_back() -> None:
    queue = a_queue()
    work = Diary(act=lambda _: asyncio.sleep(0, 5.0))
    queue.add("a")
    await run_for(queue, work, 12)
    assert work.times == [0.0, 5.0, 10.0]


async def test_of_two_wishes_the_earlier_one_counts() -> None:
    queue, work = a_queue(), Diary()
    queue.add_after("a", 10)
    queue.add_after("a", 4)
    queue.add_after("a", 7)
    await run_for(queue, work, 30)
    assert work.times == [4.0]


async def test_a_run_cut_short_by_a_lost_leadership_is_the_first_of_the_next_term() -> None:
    queue = a_queue()
    queue.add("a")
    await run_for(queue, Diary(act=lambda _: asyncio.sleep(60, None)), 5)
    assert len(queue) == 1
    work = Diary()
    await run_for(queue, work, 5)
    assert work.runs == [(5.0, "a")]


async def test_keys_added_while_nobody_works_wait() -> None:
    queue, work = a_queue(), Diary()
    queue.add("a")
    await asyncio.sleep(100)
    assert queue.overdue(asyncio.get_running_loop().time()) == pytest.approx(100)
    await run_for(queue, work, 1)
    assert work.runs == [(100.0, "a")]


async def test_a_finished_key_leaves_nothing_behind() -> None:
    queue = a_queue()
    for number in range(1000):
        queue.add(f"key-{number}")
    await run_for(queue, Diary(), 1)
    assert not queue._states
    assert not queue._heap


async def test_resync_adds_every_key_at_every_tick() -> None:
    queue, work = a_queue(), Diary()

    async def keys() -> AsyncIterator[str]:
        yield "a"

    ticking = asyncio.create_task(resync(queue, keys, every=300))
    await run_for(queue, work, 1000)
    ticking.cancel()
    assert work.times == [300.0, 600.0, 900.0]
