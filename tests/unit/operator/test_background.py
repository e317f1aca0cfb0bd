"""Parts of a process run side by side, and end together."""

import asyncio

import pytest

from llm_operator.background import together

pytestmark = pytest.mark.looptime


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    await asyncio.sleep(1)
    raise RuntimeError("the watch is lost")


async def test_a_signal_lets_the_process_leave_while_its_parts_go_on() -> None:
    leave, seen = asyncio.Event(), list[str]()

    async def part() -> None:
        try:
            await for_ever()
        finally:
            seen.append("ended")

    async def leaving() -> None:
        await asyncio.sleep(5)
        seen.append("left")

    asyncio.get_running_loop().call_later(1, leave.set)
    await together([part()], leave, leaving)
    assert seen == ["left", "ended"]


async def test_a_part_that_fails_ends_the_others_and_is_raised() -> None:
    ended = asyncio.Event()

    async def part() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    with pytest.raises(RuntimeError, match="the watch is lost"):
        await together([part(), fails()], asyncio.Event(), for_ever)
    assert ended.is_set()
