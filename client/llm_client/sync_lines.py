"""`llm_client.lines` for programs without an event loop: looks run in a thread of their own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import monotonic
from typing import Protocol

import grpc

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

_MOMENT = 1.0
"""Seconds; gRPC tells a channel's state within milliseconds."""

SyncOpen = Callable[[str, Way], grpc.Channel]


class SyncLine:
    """See `llm_client.lines.Line`.

    What it says of its connection is known after the first time that somebody asked for it:
    gRPC keeps a thread for that, which calls that succeed can do without.
    """

    def __init__(self, channel: grpc.Channel, way: Way, news: Condition) -> None:
        self.channel = channel
        self.way = way
        self.stub = inference_pb2_grpc.InferenceStub(channel)
        self.calls = 0
        self.is_proven = False
        self._news = news
        self._is_watched = False
        self._state: grpc.ChannelConnectivity | None = None

    @property
    def waits(self) -> bool:
        return self.way is Way.DIRECT

    @property
    def has_failed(self) -> bool:
        """Whether it is known to have no connection."""
        return self._state is FAILED

    def is_down(self) -> bool:
        """Whether it wants a connection and has none; waits until that is known."""
        with self._news:
            is_first, self._is_watched = not self._is_watched, True
        if is_first:
            self.channel.subscribe(self._note)
        with self._news:
            self._news.wait_for(lambda: self._state is not None, _MOMENT)
            return self._state in CONNECTING

    def changes(self, seconds: float) -> None:
        """Waits for news of a connection that is missing, but not longer than that."""
        with self._news:
            before = self._state
            if before in CONNECTING:
                self._news.wait_for(lambda: self._state is not before, seconds)

    def _note(self, state: grpc.ChannelConnectivity) -> None:
        with self._news:
            self._state = state
            self._news.notify_all()


class SyncLines(Protocol):
    """See `llm_client.lines.Lines`."""

    name: str

    def line(self, ends: float) -> AbstractContextManager[SyncLine]: ...

    def close(self) -> None: ...


class SyncDirect:
    """The one channel to a target."""

    def __init__(self, channel: grpc.Channel, target: str) -> None:
        self.name = target
        self._line = SyncLine(channel, Way.DIRECT, Condition())

    @contextmanager
    def line(self, ends: float) -> Iterator[SyncLine]:  # noqa: ARG002 - see SyncLines
        yield self._line

    def close(self) -> None:
        self._line.channel.close()


@dataclass(slots=True)
class SyncModelLines:
    """See `llm_client.lines.ModelLines`. For calls from any thread."""

    name: str
    places: Places
    open: SyncOpen
    pace: Pace = PACE
    _news: Condition = field(default_factory=Condition)
    """Guards all that follows, and tells of every change of it and of the channels' states."""
    _line: SyncLine | None = None
    _lines: dict[Way, SyncLine] = field(default_factory=dict)
    _thread: Thread | None = None
    _is_looking: bool = False
    _looked: float = 0.0
    _is_closed: bool = False

    @contextmanager
    def line(self, ends: float) -> Iterator[SyncLine]:
        """See Lines."""
        line = self._take(ends)
        try:
            yield line
        finally:
            with self._news:
                line.calls -= 1
            self._sweep()

    def close(self) -> None:
        """See Lines."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        for line in tuple(self._lines.values()):
            line.channel.close()

    def _take(self, ends: float) -> SyncLine:
        with self._news:
            due = self._due()
            if due is not Look.NONE and not self._is_looking and not self._is_closed:
                self._is_looking = True
                name = f"the way to {self.name}"
                self._thread = Thread(target=self._look, name=name, daemon=True)
                self._thread.start()
            if due is Look.FIRST:
                self._news.wait_for(lambda: not self._is_looking, left(ends))
            if self._is_closed:
                raise ValueError("This client is closed")
            if self._line is None:
                raise unreachable(self.name)
            self._line.calls += 1
            return self._line

    def _due(self) -> Look:
        if self._line is None:
            return Look.FIRST
        line, age = self._line, monotonic() - self._looked
        return look(age, self.pace, is_final=line.is_proven, has_failed=line.has_failed)

    def _look(self) -> None:
        found = None
        try:
            found = self._found()
        finally:
            with self._news:
                self._line = found or self._line
                self._looked = monotonic()
                self._is_looking = False
                self._news.notify_all()
        self._sweep()

    def _found(self) -> SyncLine:
        """The line to take: of the first way that leads to a server, if one does."""
        line = self._line
        now = line.way if line is not None and not line.has_failed else None
        trials: dict[Way, Trial] = {}
        for way in ORDER:
            trial = self._trial(way, monotonic() + self.pace.trial(way))
            if trial is not None:
                trials[way] = trial
            if trial is Trial.ANSWERED:
                break
        return self._of(best(trials, now))

    def _trial(self, way: Way, ends: float) -> Trial | None:
        """What a call found this way; None without a control plane to ask."""
        if way is Way.XDS and not self._is_there(ends):
            return None
        line = self._of(way)
        trial = self._asked(line.channel, left(ends))
        line.is_proven = way is Way.XDS and trial is Trial.ANSWERED
        return trial

    def _is_there(self, ends: float) -> bool:
        """Whether the control plane answers."""
        if not self.places.control_plane:
            return True
        with grpc.insecure_channel(self.places.control_plane, LOOKING) as channel:
            return self._asked(channel, left(ends)) is Trial.ANSWERED

    def _asked(self, channel: grpc.Channel, seconds: float) -> Trial:
        """Whether a call gets through. It asks for health, which wakes no model at zero."""
        asked = channel.unary_unary(HEALTH, None, None).future(b"", timeout=seconds)
        asked.add_done_callback(lambda _: self._tell())
        with self._news:
            self._news.wait_for(lambda: self._is_closed or asked.done(), seconds)
        if not asked.done():
            asked.cancel()  # type: ignore[no-untyped-call]
            return Trial.SILENT
        return trial_of(asked.code())

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def _of(self, way: Way) -> SyncLine:
        with self._news:
            if way not in self._lines:
                channel = self.open(self.places.target(way), way)
                self._lines[way] = SyncLine(channel, way, self._news)
            return self._lines[way]

    def _sweep(self) -> None:
        """Closes lines that nobody uses any more; a look may use any, until it ends."""
        while (line := self._unused()) is not None:
            line.channel.close()

    def _unused(self) -> SyncLine | None:
        """Takes one out."""
        with self._news:
            for way, line in self._lines.items():
                if not (self._is_looking or line.calls or line is self._line):
                    return self._lines.pop(way)
        return None


def sync_opener(credentials: grpc.ChannelCredentials | None) -> SyncOpen:
    """Makes channels; without credentials in plain text."""

    def open_(target: str, way: Way) -> grpc.Channel:
        if credentials is None:
            return grpc.insecure_channel(target, options_of(way))
        return grpc.secure_channel(target, credentials, options_of(way))

    return open_
