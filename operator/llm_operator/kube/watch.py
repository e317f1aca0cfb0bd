"""One kind's list and watch, kept up for ever: what the API server has, the store has.

List (paged) -> replace the store -> follow the changes from there. A stream that breaks or falls
silent is opened again from the last event seen; a version that the server has forgotten (410) means
listing again, and so does the end of a stream by its time. Silence is noticed, because bookmarks
come about once a minute. An error that reconnecting cannot heal is raised: the process has to end
and be restarted, not live on blind. Where not every API server knows a kind, 404 is an answer like
any other: there is nothing of it, and it is asked for again.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import (
    ForbiddenError,
    GoneError,
    KubeError,
    NotFoundError,
    ServerFailedError,
    ThrottledError,
    UnreachableError,
    WatchFailedError,
    answered,
)
from llm_operator.kube.frames import Splitter, WatchEvent, parse
from llm_operator.kube.request import Selection
from llm_operator.kube.store import Key, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of a watch, in seconds."""

    stream: float = 300.0
    """How long the server keeps one stream; up to a tenth more, so that not all end together."""
    silence: float = 75.0
    """Without any frame for this long a stream counts as dead; bookmarks come once a minute."""
    first_pause: float = 0.5
    longest_pause: float = 30.0
    refused_pause: float = 60.0
    """After a 403 or 404: only a person can heal that."""
    absent_pause: float = 10.0
    """Until a kind that the server does not know is asked for again; more than `steady`."""
    steady: float = 5.0
    """A stream that lived this long was fine: the next one starts without growing pauses."""
    doubts: int = 3
    """After so many failures in a row the version itself is in doubt: everything is listed again. A
    restored etcd counts from an older one, and answers a newer one with errors for ever."""
    draw: Callable[[], float] = random.random

    def pause(self, failures: int, error: KubeError | None) -> float:
        """How long to wait before the next attempt, jittered by a quarter."""
        if isinstance(error, ForbiddenError | NotFoundError):
            pause = self.refused_pause
        else:
            pause = min(self.longest_pause, self.first_pause * 2.0 ** min(failures - 1, 10))
        asked = error.retry_after if error is not None else None
        return max(pause * (1 - self.draw() / 4), asked or 0.0)


@dataclass(slots=True)
class Watch:
    """Keeps `store` equal to the server's `what`, and tells `touched` which LLMDeployments
    changed."""

    client: KubeClient
    what: Selection
    store: Store
    touched: Callable[[Key], None]
    pace: Pace = field(default_factory=Pace)
    known: Callable[[bool], None] | None = None
    """For a kind that not every API server knows: is told whether this one does."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list is in the store, or it is known that there can be none."""
    seen: float = 0.0
    """Loop time of the server's last sign of life."""
    beat: float = 0.0
    """Loop time of our own last step. An outage of the server does not stop it, a hang does."""
    _version: str = ""
    _failures: int = 0
    _opened: float = 0.0

    async def run(self) -> None:
        """Runs until cancelled. Raises WatchFailedError when only a new process can help."""
        while True:
            self._opened = self.beat = asyncio.get_running_loop().time()
            error: KubeError | None = None
            try:
                await self._attend()
            except GoneError:
                self._version = ""
            except WatchFailedError:
                raise
            except (ForbiddenError, NotFoundError) as refusal:
                self._version, error = "", refusal
            except KubeError as failure:
                error = failure
            await self._rest(error)

    async def _attend(self) -> None:
        try:
            if not self._version:
                await self._list()
            await self._follow()
        except NotFoundError:
            if self.known is None:
                raise
            self._version = ""
            self._tell(self.store.clear(self.what.namespace))
            self._heard(is_known=False)
            await asyncio.sleep(self.pace.absent_pause * (1 - self.pace.draw() / 4))

    async def _rest(self, error: KubeError | None) -> None:
        self.beat = asyncio.get_running_loop().time()
        if self.beat - self._opened >= self.pace.steady:
            self._failures = 0
            if error is None:
                self._version = ""  # ended in good order: listing anew heals what was ever missed
                return
        self._failures += 1
        if self._failures >= self.pace.doubts:
            self._version = ""
        pause = self.pace.pause(self._failures, error)
        if error is not None:
            logger.warning(
                "Watch was interrupted, will be resumed",
                extra={"kind": self.what.resource.kind, "error": str(error), "pause": pause},
            )
        await asyncio.sleep(pause)

    async def _list(self) -> None:
        listing = await self.client.list(self.what)
        self._tell(self.store.replace(listing.items, listing.resource_version, self.what.namespace))
        self._version = listing.resource_version
        self._heard(is_known=True)

    def _heard(self, *, is_known: bool) -> None:
        """The server has said all there is, which may be that it does not know the kind."""
        if self.known is not None:
            self.known(is_known)
        self.synced.set()
        self._alive()

    async def _follow(self) -> None:
        seconds = int(self.pace.stream * (1 + self.pace.draw() / 10))
        request = requests.watch(self.what, since=self._version, seconds=seconds)
        async with self.client.stream(request) as pieces:
            async for event in self._events(pieces):
                self._take(event)

    async def _events(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
        splitter = Splitter()
        iterator = aiter(pieces)
        while True:
            try:
                async with asyncio.timeout(self.pace.silence):
                    piece = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise UnreachableError(
                    f"The watch was silent for {self.pace.silence:.0f} s"
                ) from error
            self._alive()
            for line in splitter.feed(piece):
                yield parse(line)

    def _take(self, event: WatchEvent) -> None:
        if event.type == "ERROR":
            raise _failure(event)
        if event.type in ("ADDED", "MODIFIED"):
            self._tell(self.store.put(event.object))
        elif event.type == "DELETED":
            self._tell(self.store.remove(event.object))
        self._version = event.resource_version

    def _tell(self, keys: set[Key]) -> None:
        for key in keys:
            self.touched(key)

    def _alive(self) -> None:
        self.seen = self.beat = asyncio.get_running_loop().time()


def _failure(event: WatchEvent) -> KubeError:
    """What an ERROR frame means: list again, try again, or give up."""
    code = event.object.get("code")
    error = answered(code if isinstance(code, int) else 0, event.object)
    if isinstance(error, GoneError | ThrottledError | ServerFailedError):
        return error
    return WatchFailedError(f"The watch delivered an unknown error: {error}")
