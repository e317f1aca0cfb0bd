"""What clients are to be told now, and which of them wait for news of it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from llm_operator.kube.store import Key
from llm_operator.xds.patience import Held, held
from llm_operator.xds.resources import (
    CLUSTER,
    ENDPOINTS,
    ROUTE,
    Name,
    Resource,
    listener_name,
    of_nobody,
    resources,
)
from llm_operator.xds.traffic import Share, Traffic

GATHER_SECONDS = 0.02
"""News comes in bursts, several slices and the object at a time: one answer is made of them."""
REFERRED_TO = frozenset({CLUSTER, ENDPOINTS})
"""Types that a route refers to. They outlive it until no client asks for them: one that is told of
a cluster's end before it follows the new route fails every call."""


@dataclass(slots=True)
class Board:
    """Resources of all LLMDeployments. `look` reads one, None where there is none.

    Used in one event loop; `run` it.
    """

    look: Callable[[Key], Traffic | None]
    clock: Callable[[], float]
    changed: Callable[[Key], None] = field(default=lambda _: None)
    """Told of an LLMDeployment after what its clients are told has changed."""
    _known: dict[Name, Resource] = field(default_factory=dict)
    _held: dict[Key, Held] = field(default_factory=dict)
    _names: dict[Key, frozenset[Name]] = field(default_factory=dict)
    _listeners: dict[Name, set[asyncio.Event]] = field(default_factory=dict)
    _retired: set[Name] = field(default_factory=set)
    """Resources that only those use who have not followed yet."""
    _dirty: set[Key] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._settled.set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def known(self) -> Mapping[Name, Resource]:
        """Every resource there is."""
        return self._known

    def find(self, name: Name) -> Resource | None:
        """What to tell about a name, one that nobody has included."""
        return self._known.get(name) or of_nobody(name)

    async def settled(self) -> None:
        """Waits until everything that was touched is on the board."""
        await self._settled.wait()

    def shares(self, key: Key) -> tuple[Share, ...]:
        """How calls are shared among revisions; empty where all pods are alike."""
        found = self._held.get(key)
        return found.shown.shares if found is not None else ()

    def with_shares(self) -> Iterable[Key]:
        """LLMDeployments whose calls are shared among revisions."""
        return [key for key, found in self._held.items() if found.shown.shares]

    def route(self, key: Key) -> tuple[Name, str]:
        """The route of an LLMDeployment and its version now; empty where there is none."""
        name = Name(ROUTE, listener_name(key))
        found = self._known.get(name)
        return name, found.version if found is not None else ""

    def touched(self, key: Key) -> None:
        """Something of an LLMDeployment has changed."""
        self._dirty.add(key)
        self._settled.clear()
        self._news.set()

    def listen(
        self, listener: asyncio.Event, before: Iterable[Name], after: Iterable[Name]
    ) -> None:
        """Sets `listener` whenever one of the names in `after` changes, and not any more for those
        in `before`."""
        for name in before:
            waiting = self._listeners[name]
            waiting.discard(listener)
            if not waiting:
                del self._listeners[name]
                self._forget_retired(name)
        for name in after:
            self._listeners.setdefault(name, set()).add(listener)

    async def run(self) -> None:
        """Keeps the board as `look` says, until cancelled."""
        while True:
            await self._wait()
            self._news.clear()
            await asyncio.sleep(GATHER_SECONDS)
            dirty, self._dirty = self._dirty | self._overdue(), set()
            for key in dirty:
                self._refresh(key)
            if not self._dirty:
                self._settled.set()

    async def _wait(self) -> None:
        """Until something was touched, or an empty set was held for long enough."""
        until = min((h.until for h in self._held.values() if h.until is not None), default=None)
        timer = asyncio.timeout(None if until is None else max(0.0, until - self.clock()))
        try:
            async with timer:
                await self._news.wait()
        except TimeoutError:
            if not timer.expired():
                raise

    def _overdue(self) -> set[Key]:
        now = self.clock()
        return {k for k, h in self._held.items() if h.until is not None and h.until <= now}

    def _refresh(self, key: Key) -> None:
        found = self.look(key)
        after: Mapping[Name, Resource] = {}
        if found is None:
            self._held.pop(key, None)
        else:
            self._held[key] = held(self._held.get(key), found, self.clock())
            after = resources(self._held[key].shown)
        self._put(key, after)
        self.changed(key)

    def _put(self, key: Key, after: Mapping[Name, Resource]) -> None:
        before = self._names.pop(key, frozenset())
        if after:
            self._names[key] = frozenset(after)
        self._retired -= after.keys()
        for name, resource in after.items():
            if self._known.get(name) != resource:
                self._known[name] = resource
                self._ring(name)
        for name in before - after.keys():
            if name.type_url in REFERRED_TO and name in self._listeners:
                self._retired.add(name)
            else:
                del self._known[name]
                self._ring(name)

    def _forget_retired(self, name: Name) -> None:
        if name in self._retired:
            self._retired.discard(name)
            del self._known[name]

    def _ring(self, name: Name) -> None:
        for listener in self._listeners.get(name, ()):
            listener.set()
