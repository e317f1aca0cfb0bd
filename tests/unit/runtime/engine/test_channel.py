import asyncio
import threading

from llm_runtime.engine.channel import Channel, Delivery, wake
from llm_runtime.engine.request import End, Ending

END = End(Ending.LENGTH)


def new_channel(limit: int = 10) -> Channel:
    return Channel(asyncio.get_running_loop(), limit)


async def test_a_reader_gets_everything_that_came_since_it_looked() -> None:
    channel = new_channel()
    for token in (1, 2, 3):
        channel.push(token)
    wake([channel])
    assert await channel.receive() == Delivery((1, 2, 3))


async def test_the_end_comes_with_the_last_tokens() -> None:
    channel = new_channel()
    channel.push(1)
    channel.close(END)
    wake([channel])
    assert await channel.receive() == Delivery((1,), END)


async def test_the_first_end_stays() -> None:
    channel = new_channel()
    channel.close(END)
    channel.close(End(Ending.CANCELLED))
    wake([channel])
    assert (await channel.receive()).end == END


async def test_a_full_channel_takes_no_more() -> None:
    channel = new_channel(limit=2)
    assert [channel.push(token) for token in range(3)] == [True, True, False]


async def test_reading_makes_room() -> None:
    channel = new_channel(limit=1)
    channel.push(1)
    wake([channel])
    await channel.receive()
    assert channel.push(2)


async def test_a_reader_waits_for_news() -> None:
    channel = new_channel()
    reader = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    assert not reader.done()
    channel.push(5)
    wake([channel])
    assert await reader == Delivery((5,))


async def test_nothing_is_lost_between_two_threads() -> None:
    channel = new_channel(limit=100_000)

    def write() -> None:
        for token in range(5000):
            channel.push(token)
            if token % 7 == 0:
                wake([channel])
        channel.close(END)
        wake([channel])

    writer = threading.Thread(target=write)
    writer.start()
    read: list[int] = []
    end = None
    while end is None:
        delivery = await channel.receive()
        read.extend(delivery.tokens)
        end = delivery.end
    writer.join()
    assert read == list(range(5000))
