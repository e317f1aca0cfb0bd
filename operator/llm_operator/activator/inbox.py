"""What a client has sent of its request: read ahead while it waits, given to a pod, given again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from llm_operator.rpc import EOF, ClientCall

KEPT = 2
"""Messages read ahead of a call that waits. One is a whole request for unary and server-streaming
methods; who streams its request is stopped by flow control."""


class Inbox:
    """The messages of one call, from `read` (a servicer context's).

    took: is told the size of each message as it is read; False refuses it and ends the reading.
    gave: is told the size of what is not kept any more.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Any]],
        took: Callable[[int], bool],
        gave: Callable[[int], None],
    ) -> None:
        self._read = read
        self._took = took
        self._gave = gave
        self._messages: list[bytes] = []
        self._dropped = 0
        self._sent = 0
        self._is_released = False
        self._is_ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def is_whole(self) -> bool:
        """Whether all that came of the request is still here, so that another pod can get it too;
        what is still to come, it gets as well."""
        return self._dropped == 0 and not self._is_released

    async def fill(self) -> None:
        """Reads until the request has ended; never more than `KEPT` messages ahead."""
        while (message := await self._read()) is not EOF:
            if not self._took(len(message)):
                return
            self._messages.append(message)
            self._news.set()
            while len(self._messages) >= KEPT:
                self._room.clear()
                await self._room.wait()
        self._is_ended = True
        self._news.set()

    async def send(self, call: ClientCall) -> None:
        """Writes the request to a pod from its first message on, as far as it is still here."""
        self._sent = 0
        while True:
            while self._sent < self._dropped + len(self._messages):
                await call.write(self._messages[self._sent - self._dropped])
                self._sent += 1
            if self._is_released or (not self._is_ended and len(self._messages) >= KEPT):
                self._drop()
            if self._is_ended:
                await call.done_writing()
                return
            self._news.clear()
            await self._news.wait()

    def release(self) -> None:
        """The request goes to no other pod any more: what was sent need not be kept."""
        self._is_released = True
        self._drop()

    def _drop(self) -> None:
        count = self._sent - self._dropped
        if count <= 0:
            return
        size = sum(len(message) for message in self._messages[:count])
        del self._messages[:count]
        self._dropped = self._sent
        self._gave(size)
        self._room.set()
