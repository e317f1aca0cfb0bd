"""The pod's load as a stream, to any number of watchers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from llm_client.v1 import control_pb2 as pb
from llm_runtime.engine.bell import Bell
from llm_runtime.server.pacing import News, Pace, Send, next_move

Write = Callable[[pb.GetLoadResponse], Awaitable[None]]
LONGEST_STREAM_SECONDS = 1800.0
"""A stream ends by itself by then, and the next one has to show a token that is good by then."""
# Streams that were opened together, by an operator that has just started, end at different times.
_EARLIEST_END = 0.7


@dataclass(eq=False, slots=True)
class _Watcher:
    """One stream that waits. `for_load`: whether a change of the load alone wakes it."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    for_load: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """The last message of a stream, and when it was written."""

    message: pb.GetLoadResponse
    at: float


class LoadFeed:
    """Streams of what `read` returns, driven by a bell for the load and by `announce` for states.

    A watcher keeps no queue: whoever reads slowly gets the newest message when it has read the one
    before. Used in one event loop.
    """

    def __init__(
        self,
        read: Callable[[], pb.GetLoadResponse],
        bell: Bell,
        pace: Pace | None = None,
        longest: float = LONGEST_STREAM_SECONDS,
    ) -> None:
        self._read = read
        self._bell = bell
        self._pace = pace or Pace()
        self._longest = longest
        self._watchers: set[_Watcher] = set()
        self._is_closed = False

    def read(self) -> pb.GetLoadResponse:
        """The load at this moment."""
        return self._read()

    def announce(self) -> None:
        """Says that the state has changed, to all watchers at once."""
        for watcher in self._watchers:
            watcher.woken.set()

    def close(self) -> None:
        """Ends every stream, now and from now on, after a last message if the state is news."""
        self._is_closed = True
        self.announce()

    async def watch(self, write: Write) -> None:
        """Writes the first message at once and the others as they are due; returns at the end.

        The end is that of the feed or of a stream's time, which is not the same for all streams.
        """
        watcher = _Watcher()
        end = time.monotonic() + self._longest * random.uniform(_EARLIEST_END, 1.0)  # noqa: S311
        self._watchers.add(watcher)
        try:
            told = await _tell(self._read(), write)
            while not self._is_closed and time.monotonic() < end:
                told = await self._go_on(watcher, told, write)
            last = self._read()
            if _news(told.message, last) is News.STATE:
                await _tell(last, write)
        finally:
            self._watchers.discard(watcher)

    async def _go_on(self, watcher: _Watcher, told: _Told, write: Write) -> _Told:
        """Writes the next message if it is due, or else waits until it may be."""
        watcher.woken.clear()
        self._bell.arm(self._wake)
        message = self._read()
        move = next_move(time.monotonic() - told.at, _news(told.message, message), self._pace)
        if isinstance(move, Send):
            return await _tell(message, write)
        watcher.for_load = move.for_load
        await _wait(watcher.woken, move.seconds)
        return told

    def _wake(self) -> None:
        """Wakes those who wait for a change of the load. Called by the bell."""
        for watcher in self._watchers:
            if watcher.for_load:
                watcher.woken.set()


async def _tell(message: pb.GetLoadResponse, write: Write) -> _Told:
    at = time.monotonic()
    await write(message)
    return _Told(message, at)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, or after so many seconds."""
    waiting = asyncio.timeout(seconds)
    try:
        async with waiting:
            await event.wait()
    except TimeoutError:
        if not waiting.expired():
            raise


def _news(before: pb.GetLoadResponse, after: pb.GetLoadResponse) -> News:
    if before.state != after.state:
        return News.STATE
    return News.NONE if _lasting(before) == _lasting(after) else News.LOAD


def _lasting(message: pb.GetLoadResponse) -> pb.GetLoadResponse:
    """The message without what time alone moves."""
    lasting = pb.GetLoadResponse()
    lasting.CopyFrom(message)
    for name in ("at_seconds", "request_seconds"):
        lasting.ClearField(name)
    return lasting
