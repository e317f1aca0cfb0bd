"""One stream to each of many pods, opened again for as long as the pod is followed."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import grpc.aio

from llm_operator.control.channel import CONTROL_PORT, Endpoint, authorization, channel_to
from llm_operator.control.token import TokenUnavailableError

logger = logging.getLogger(__name__)

Metadata = tuple[tuple[str, str], ...]
M = TypeVar("M")

SILENT_SECONDS = 12.0
"""A stream says something every five seconds; one that does not hangs."""


NEW_FAILURES = 60
"""A pod that has not listened after so many attempts (two minutes) is no new one any more."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds before a stream is opened again: doubling, reset by a message."""

    first: float = 0.5
    longest: float = 5.0
    longest_at_first: float = 2.0
    """Until the first message: a pod that starts does not listen yet, and is heard as soon as it
    does."""

    def after(self, failures: int, *, is_new: bool = False) -> float:
        """The pause after so many failures in a row, counted from 1."""
        longest = self.longest_at_first if is_new and failures <= NEW_FAILURES else self.longest
        return min(longest, self.first * 2.0 ** min(failures - 1, 16))


@dataclass(slots=True)
class Streams(Generic[M]):
    """The open streams, by the group that follows them.

    `open_stream` calls a pod; `heard` gets every message, and None when a stream has broken.
    Not thread-safe: to be used from one event loop.
    """

    open_stream: Callable[[grpc.aio.Channel, Metadata], AsyncIterable[M]]
    heard: Callable[[Hashable, Endpoint, M | None], None]
    token: Callable[[], str]
    port: int = CONTROL_PORT
    pauses: Pauses = field(default_factory=Pauses)
    silent_seconds: float = SILENT_SECONDS
    _tasks: dict[Hashable, "dict[Endpoint, asyncio.Task[None]]"] = field(default_factory=dict)

    def follow(self, group: Hashable, endpoints: Iterable[Endpoint]) -> None:
        """Has exactly these streams in the group: opens what is new, ends what is gone."""
        wanted, open_now = set(endpoints), self._tasks.pop(group, {})
        for endpoint in set(open_now) - wanted:
            open_now.pop(endpoint).cancel()
        for endpoint in wanted - set(open_now):
            open_now[endpoint] = asyncio.create_task(
                self._keep_open(group, endpoint), name=f"stream {endpoint.uid}"
            )
        if open_now:
            self._tasks[group] = open_now

    async def aclose(self) -> None:
        """Ends every stream."""
        tasks = [task for group in self._tasks.values() for task in group.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_open(self, group: Hashable, endpoint: Endpoint) -> None:
        failures, is_new = 0, True
        while True:
            has_spoken = False
            try:
                async for message in self._messages(endpoint):
                    has_spoken, is_new = True, False
                    self.heard(group, endpoint, message)
                if has_spoken:
                    failures = 0  # a long stream ended in good order: what was heard last holds
                    await asyncio.sleep(self.pauses.first)
                    continue
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                logger.debug("Stream ended", extra={"pod": endpoint.uid, "error": _why(error)})
            except TokenUnavailableError as error:
                logger.warning("Control token cannot be read", extra={"error": str(error)})
            self.heard(group, endpoint, None)
            failures = 1 if has_spoken else failures + 1
            await asyncio.sleep(self.pauses.after(failures, is_new=is_new))

    async def _messages(self, endpoint: Endpoint) -> AsyncIterator[M]:
        """One stream to its end in good order; raises what broke it."""
        metadata = authorization(self.token())
        async with channel_to(endpoint.address, self.port) as channel:
            messages = aiter(self.open_stream(channel, metadata))
            while True:
                try:
                    async with asyncio.timeout(self.silent_seconds):
                        message = await anext(messages)
                except StopAsyncIteration:
                    return
                yield message


def _why(error: Exception) -> str:
    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else "silence"
