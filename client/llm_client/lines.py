"""Channels of the asynchronous client: the one that new calls take, and those whose calls end.

`Direct` has the one that the caller chose. `ModelLines` chooses among the ways to a model: at the
first call, and now and then again as long as there may be a better one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import grpc
import grpc.aio

from llm_client.address import Places
from llm_client.errors import unreachable
from llm_client.transport import (
    CONNECTING,
    FAILED,
    HEALTH,
    LOOKING,
    left,
    options_of,
)
from llm_client.v1 import inference_pb2_grpc
from llm_client.ways import ORDER, PACE, Look, Pace, Trial, Way, best, look, trial_of

Open = Callable[[str, Way], grpc.aio.Channel]


class Line:
    """A channel and the calls on it.

    Attributes:
        way: how it finds its servers.
        stub: makes the calls.
        calls: how many run.
        is_proven: a call got through by xDS.
    """

    def __init__(self, channel: grpc.aio.Channel, way: Way) -> None:
        self._channel = channel
        self.way = way
        self.stub = inference_pb2_grpc.InferenceStub(channel)
        self.calls = 0
        self.is_proven = False

    @property
    def waits(self) -> bool:
        """Whether calls wait for a connection; see `llm_client.tries`."""
        return self.way is Way.DIRECT

    @property
    def is_down(self) -> bool:
        """Whether it wants a connection and has none."""
        return self._channel.get_state() in CONNECTING

    @property
    def has_failed(self) -> bool:
        """Whether it has tried, too."""
        return self._channel.get_state() is FAILED

    async def changes(self, seconds: float) -> None:
        """Waits for news of a connection that is missing, but not longer than that."""
        state = self._channel.get_state()
        if state in CONNECTING:
            async with _at_most(seconds):
                await self._channel.wait_for_state_change(state)

    async def trial(self, seconds: float) -> Trial:
        """Whether a call gets through."""
        return await _trial(self._channel, seconds)

    async def close(self) -> None:
        """Ends the channel and its calls."""
        await self._channel.close(None)


class Lines(Protocol):
    """Where a client gets its channels from."""

    name: str
    """Whom calls go to, for messages."""

    def line(self, ends: float) -> AbstractAsyncContextManager[Line]:
        """The line for a call with that deadline, while it runs. Raises UnavailableError."""

    async def close(self) -> None:
        """Ends all calls and connections."""


class Direct:
    """The one channel to a target."""

    def __init__(self, channel: grpc.aio.Channel, target: str) -> None:
        self.name = target
        self._line = Line(channel, Way.DIRECT)

    @asynccontextmanager
    async def line(self, ends: float) -> AsyncIterator[Line]:  # noqa: ARG002 - see Lines
        yield self._line

    async def close(self) -> None:
        await self._line.close()


@dataclass(slots=True)
class ModelLines:
    """Lines to a model. Looks run beside the calls; many calls share one.

    A line that is replaced is closed when its calls are over.
    """

    name: str
    places: Places
    open: Open
    pace: Pace = PACE
    _line: Line | None = None
    """The one that new calls take."""
    _lines: dict[Way, Line] = field(default_factory=dict)
    """That one, those whose calls have not ended, and those that a look tries."""
    _task: asyncio.Task[None] | None = None
    _is_looking: bool = False
    _looked: float = 0.0
    _is_closed: bool = False

    @asynccontextmanager
    async def line(self, ends: float) -> AsyncIterator[Line]:
        """See Lines."""
        line = await self._take(ends)
        line.calls += 1
        try:
            yield line
        finally:
            line.calls -= 1
            await self._sweep()

    async def close(self) -> None:
        """See Lines."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for line in tuple(self._lines.values()):
            await line.close()

    async def _take(self, ends: float) -> Line:
        due = self._due()
        if due is not Look.NONE and not self._is_looking and not self._is_closed:
            self._is_looking = True
            self._task = asyncio.create_task(self._look(), name=f"the way to {self.name}")
        if due is Look.FIRST and self._task is not None:
            await asyncio.wait([self._task], timeout=left(ends))
        if self._is_closed:
            raise ValueError("This client is closed")
        if self._line is None:
            raise unreachable(self.name)
        return self._line

    def _due(self) -> Look:
        if self._line is None:
            return Look.FIRST
        line, age = self._line, monotonic() - self._looked
        return look(age, self.pace, is_final=line.is_proven, has_failed=line.has_failed)

    async def _look(self) -> None:
        try:
            self._line = await self._found()
        finally:
            self._looked = monotonic()
            self._is_looking = False
        await self._sweep()

    async def _found(self) -> Line:
        """The line to take: of the first way that leads to a server, if one does."""
        line = self._line
        now = line.way if line is not None and not line.has_failed else None
        trials: dict[Way, Trial] = {}
        for way in ORDER:
            trial = await self._trial(way, monotonic() + self.pace.trial(way))
            if trial is not None:
                trials[way] = trial
            if trial is Trial.ANSWERED:
                break
        return self._of(best(trials, now))

    async def _trial(self, way: Way, ends: float) -> Trial | None:
        """What a call found this way; None without a control plane to ask."""
        if way is Way.XDS and not await self._is_there(ends):
            return None
        line = self._of(way)
        trial = await line.trial(left(ends))
        line.is_proven = way is Way.XDS and trial is Trial.ANSWERED
        return trial

    async def _is_there(self, ends: float) -> bool:
        """Whether the control plane answers."""
        if not self.places.control_plane:
            return True
        async with grpc.aio.insecure_channel(self.places.control_plane, LOOKING) as channel:
            return await _trial(channel, left(ends)) is Trial.ANSWERED

    def _of(self, way: Way) -> Line:
        if way not in self._lines:
            self._lines[way] = Line(self.open(self.places.target(way), way), way)
        return self._lines[way]

    async def _sweep(self) -> None:
        """Closes lines that nobody uses any more; a look may use any, until it ends."""
        while not self._is_looking and (unused := self._unused()):
            await self._lines.pop(unused[0]).close()

    def _unused(self) -> list[Way]:
        return [w for w, line in self._lines.items() if not line.calls and line is not self._line]


def opener(credentials: grpc.ChannelCredentials | None) -> Open:
    """Makes channels; without credentials in plain text."""

    def open_(target: str, way: Way) -> grpc.aio.Channel:
        if credentials is None:
            return grpc.aio.insecure_channel(target, options_of(way))
        return grpc.aio.secure_channel(target, credentials, options_of(way))

    return open_


async def _trial(channel: grpc.aio.Channel, seconds: float) -> Trial:
    """Whether a call gets through. It asks for health, which wakes no model at zero."""
    try:
        await channel.unary_unary(HEALTH, None, None)(b"", timeout=seconds)
    except grpc.aio.AioRpcError as error:
        return trial_of(error.code())
    return Trial.ANSWERED


@asynccontextmanager
async def _at_most(seconds: float) -> AsyncIterator[None]:
    """Leaves the block after so many seconds, without an error."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError:
        if not timer.expired():
            raise
