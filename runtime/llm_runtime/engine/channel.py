"""The way of tokens from the engine's thread to the coroutine that answers a call.

The engine never waits for a reader: a channel that is full is reported to it, and the request is
ended. A reader gets all that came since it last looked, so a slow one costs fewer wake-ups.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from llm_runtime.engine.request import End


@dataclass(frozen=True, slots=True)
class Delivery:
    """Tokens since the last delivery, and how the request ended when these were the last."""

    tokens: tuple[int, ...]
    end: End | None = None


class Channel:
    """The tokens of one request on their way to one reader.

    The engine's thread writes, a coroutine of `loop` reads, at most `limit` tokens are unread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.loop = loop
        self._limit = limit
        self._tokens: deque[int] = deque()
        self._end: End | None = None
        self._readable = asyncio.Event()

    def push(self, token: int) -> bool:
        """Adds a token, or returns False when the reader is too far behind.

        The reader wakes with the next `wake`.
        """
        if len(self._tokens) >= self._limit:
            return False
        self._tokens.append(token)
        return True

    def close(self, end: End) -> None:
        """Ends the channel after what was pushed; the first end stays."""
        if self._end is None:
            self._end = end

    def notify(self) -> None:
        """Wakes the reader. Runs in the reader's event loop."""
        self._readable.set()

    async def receive(self) -> Delivery:
        """Waits until there is something and returns all of it.

        Not to be called after a delivery with an end.
        """
        await self._readable.wait()
        self._readable.clear()
        end = self._end  # before the tokens: once it is set, no token follows
        tokens = []
        while self._tokens:
            tokens.append(self._tokens.popleft())
        return Delivery(tuple(tokens), end)


def wake(channels: Iterable[Channel]) -> None:
    """Wakes the readers of channels, from any thread, with one call per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Channel]] = {}
    for channel in channels:
        by_loop.setdefault(channel.loop, []).append(channel)
    for loop, group in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_notify_all, group)


def _notify_all(channels: list[Channel]) -> None:
    for channel in channels:
        channel.notify()
