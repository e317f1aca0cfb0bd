import asyncio
import threading

from llm_runtime.engine.bell import Bell


async def test_a_bell_that_nobody_armed_is_silent() -> None:
    Bell().ring()


async def test_an_armed_bell_tells_once_from_any_thread() -> None:
    bell, heard = Bell(), asyncio.Semaphore(0)
    bell.arm(heard.release)
    for _ in range(3):
        thread = threading.Thread(target=bell.ring)
        thread.start()
        thread.join()
    await heard.acquire()
    await asyncio.sleep(0)
    assert heard.locked()


async def test_it_can_be_armed_again() -> None:
    bell, heard = Bell(), asyncio.Semaphore(0)
    for _ in range(2):
        bell.arm(heard.release)
        bell.ring()
        await heard.acquire()


def test_a_loop_that_is_gone_is_left_alone() -> None:
    bell = Bell()

    async def arm() -> None:
        bell.arm(lambda: None)

    asyncio.run(arm())
    bell.ring()
