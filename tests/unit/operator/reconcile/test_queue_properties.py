"""The queue under any mix of events and failures, and the delays between retries."""

import asyncio

import looptime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.reconcile.queue import Backoff, KeyedQueue


@given(failures=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_a_delay_is_never_shorter_than_the_jitter_allows_nor_beyond_the_limit(
    failures: int, draw: float
) -> None:
    backoff = Backoff(draw=lambda: draw)
    assert 0.75 <= backoff.delay(failures) <= 300.0


@given(failures=st.integers(1, 100))
def test_delays_never_shrink_while_failures_go_on(failures: int) -> None:
    backoff = Backoff(draw=lambda: 0.0)
    assert backoff.delay(failures + 1) >= backoff.delay(failures)


@given(
    wishes=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.booleans()), max_size=30
    )
)
def test_every_wish_is_followed_by_a_run_that_starts_no_earlier_than_it(
    wishes: list[tuple[str, int, bool]],
) -> None:
    """Whatever the mix of events and failures: no key is lost, none runs twice at a time."""
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        starts = runner.run(last_good_starts(wishes))
    for key, when, _ in wishes:
        assert starts[key] >= when


async def last_good_starts(wishes: list[tuple[str, int, bool]]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    queue: KeyedQueue[str] = KeyedQueue(backoff=Backoff(draw=lambda: 0.0))
    starts: dict[str, float] = {}
    running: set[str] = set()
    failing = iter([fails for _, _, fails in wishes])

    async def work(key: str) -> None:
        assert key not in running
        running.add(key)
        started = loop.time()
        await asyncio.sleep(0.5)
        running.remove(key)
        if next(failing, False):
            raise OSError("no route")
        starts[key] = started

    for key, when, _ in wishes:
        loop.call_at(when, queue.add, key)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(100_000):
            await queue.run(work, workers=2)
    assert len(queue) == 0
    return starts
