"""A client's request: read ahead, sent on, and sent again while it is whole."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from llm_operator.activator.inbox import KEPT, Inbox
from llm_operator.rpc import EOF, ClientCall

pytestmark = pytest.mark.looptime


@dataclass
class Place:
    """A client that sends, an inbox, and pods."""

    arriving: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    limit: int = 10**9
    bytes: int = 0
    reads: int = 0
    inbox: Inbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = Inbox(self._read, self._took, self._gave)

    def says(self, *messages: Any) -> None:
        for message in messages:
            self.arriving.put_nowait(message)

    async def _read(self) -> Any:
        message = await self.arriving.get()
        self.reads += 1
        return message

    def _took(self, size: int) -> bool:
        if self.bytes + size > self.limit:
            return False
        self.bytes += size
        return True

    def _gave(self, size: int) -> None:
        self.bytes -= size


@dataclass
class Pod:
    """Notes what it gets; takes messages while it is open."""

    got: list[bytes] = field(default_factory=list)
    is_ended: bool = False
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, message: bytes) -> None:
        await self.is_open.wait()
        self.got.append(message)

    async def done_writing(self) -> None:
        self.is_ended = True


@pytest.fixture
def place() -> Place:
    return Place()


async def sent(place: Place, pod: Pod, *, is_open: bool = True) -> "asyncio.Task[None]":
    """The sending to a pod, when it has come as far as it can."""
    if is_open:
        pod.is_open.set()
    task = asyncio.create_task(place.inbox.send(cast(ClientCall, pod)))
    await asyncio.sleep(1)
    return task


@pytest.fixture
async def filling(place: Place) -> Any:
    task = asyncio.create_task(place.inbox.fill())
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_a_request_reaches_a_pod_as_a_whole(place: Place, filling: Any) -> None:
    place.says(b"one", EOF)
    pod = Pod()
    await (await sent(place, pod))
    assert (pod.got, pod.is_ended) == ([b"one"], True)


async def test_a_request_without_a_message_is_ended_too(place: Place, filling: Any) -> None:
    place.says(EOF)
    pod = Pod()
    await (await sent(place, pod))
    assert (pod.got, pod.is_ended) == ([], True)


async def test_what_comes_while_it_is_sent_follows(place: Place, filling: Any) -> None:
    pod = Pod()
    sending = await sent(place, pod)
    for message in (b"1", b"2", b"3", b"4", EOF):
        place.says(message)
        await asyncio.sleep(1)
    await sending
    assert (pod.got, pod.is_ended) == ([b"1", b"2", b"3", b"4"], True)


async def test_no_more_is_read_ahead_than_is_kept(place: Place, filling: Any) -> None:
    place.says(*[b"x" * 10] * 9)
    await asyncio.sleep(1)
    assert place.reads == KEPT
    assert place.bytes == KEPT * 10


async def test_a_slow_pod_slows_the_client(place: Place, filling: Any) -> None:
    place.says(*[b"x"] * 99)
    sending = await sent(place, Pod(), is_open=False)
    assert place.reads == KEPT
    sending.cancel()


async def test_a_request_that_one_pod_had_goes_to_the_next_as_a_whole(
    place: Place, filling: Any
) -> None:
    place.says(b"one", EOF)
    await (await sent(place, Pod()))
    assert place.inbox.is_whole
    second = Pod()
    await (await sent(place, second))
    assert (second.got, second.is_ended) == ([b"one"], True)


async def test_what_has_not_ended_yet_can_go_to_the_next_pod_and_end_there(
    place: Place, filling: Any
) -> None:
    place.says(b"one")
    (await sent(place, Pod())).cancel()
    assert place.inbox.is_whole
    second = Pod()
    sending = await sent(place, second)
    place.says(EOF)
    await sending
    assert (second.got, second.is_ended) == ([b"one"], True)


async def test_a_long_request_is_not_kept_and_goes_to_no_other_pod(
    place: Place, filling: Any
) -> None:
    place.says(*[b"x"] * 5)
    sending = await sent(place, Pod())
    assert not place.inbox.is_whole
    assert place.bytes < KEPT
    sending.cancel()


async def test_a_request_that_is_answered_is_not_kept(place: Place, filling: Any) -> None:
    place.says(b"one", EOF)
    await (await sent(place, Pod()))
    place.inbox.release()
    assert not place.inbox.is_whole
    assert place.bytes == 0


async def test_a_message_that_an_answer_overtakes_is_sent_and_not_kept(
    place: Place, filling: Any
) -> None:
    place.says(b"one", EOF)
    pod = Pod()
    sending = await sent(place, pod, is_open=False)
    place.inbox.release()
    assert place.bytes == 3
    pod.is_open.set()
    await sending
    assert (pod.got, place.bytes) == ([b"one"], 0)


async def test_a_message_for_which_there_is_no_room_ends_the_reading(
    place: Place, filling: Any
) -> None:
    place.limit = 5
    place.says(b"x" * 9, b"y")
    await asyncio.sleep(1)
    assert filling.done()
    assert (place.reads, place.bytes) == (1, 0)
