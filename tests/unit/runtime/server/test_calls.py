import asyncio

import pytest

from llm_runtime.server.calls import Calls


async def test_without_a_call_it_is_over_at_once() -> None:
    await asyncio.wait_for(Calls().over(), 1)


async def test_it_is_over_after_the_last_call_however_they_end() -> None:
    calls = Calls()
    with calls:
        waiting = asyncio.create_task(calls.over())
        with pytest.raises(ValueError, match="bad"), calls:
            raise ValueError("bad")
        await asyncio.sleep(0)
        assert (calls.running, waiting.done()) == (1, False)
    await asyncio.wait_for(waiting, 1)
    assert calls.running == 0
