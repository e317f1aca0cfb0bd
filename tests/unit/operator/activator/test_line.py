"""The line of held calls. Time is looptime's."""

import asyncio

import pytest

from llm_operator.activator.line import Line

pytestmark = pytest.mark.looptime


async def test_who_came_first_goes_first_whoever_began_to_wait_first() -> None:
    line, gone = Line(), []

    async def wait(number: int) -> None:
        await line.wait(number, 60)
        gone.append(number)

    waiting = [asyncio.create_task(wait(number)) for number in (3, 1, 2)]
    await asyncio.sleep(0)
    line.move()
    await asyncio.gather(*waiting)

    assert gone == [1, 2, 3]


async def test_a_wait_ends_with_its_time() -> None:
    began = asyncio.get_running_loop().time()
    await Line().wait(1, 2.5)
    assert asyncio.get_running_loop().time() - began == 2.5


async def test_one_that_is_called_goes_alone() -> None:
    line = Line()
    first, second = (asyncio.create_task(line.wait(number, 60)) for number in (1, 2))
    await asyncio.sleep(0)
    line.call(2)
    await second
    assert not first.done()
    first.cancel()


async def test_calls_for_nobody_are_not_heard() -> None:
    line = Line()
    line.call(1)
    line.move()
    waiting = asyncio.create_task(line.wait(1, 60))
    await asyncio.sleep(1)
    assert not waiting.done()
    waiting.cancel()


async def test_who_is_called_twice_or_has_left_disturbs_nobody() -> None:
    line = Line()
    left, stays = (asyncio.create_task(line.wait(number, 60)) for number in (1, 2))
    await asyncio.sleep(0)
    left.cancel()
    line.move()
    line.move()
    await stays
    assert left.cancelled() or (await asyncio.wait({left}) and left.cancelled())
    assert not line._waiting
