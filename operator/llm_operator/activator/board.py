"""All LLMDeployments that are served and their ports, kept as the slices say."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from llm_operator.activator import refusals
from llm_operator.activator.listeners import changes
from llm_operator.activator.port import LONGEST_CALL_SECONDS, Connections, Port
from llm_operator.activator.room import Memory
from llm_operator.activator.served import Meter, Served
from llm_operator.activator.target import Target
from llm_operator.kube.store import Key
from llm_operator.rpc import HealthServicer

logger = logging.getLogger(__name__)

REOPEN_SECONDS = 0.5
"""Pause before a port is opened again that could not be."""


class Holding(NamedTuple):
    """What one LLMDeployment has here; all counts of calls but `bytes`."""

    key: Key
    calls: int
    bytes: int
    forwarding: int
    received: int


@dataclass(slots=True)
class _Opened:
    key: Key
    port: Port
    retiring: "asyncio.Task[None] | None" = None


@dataclass(slots=True)
class Board:
    """`look` reads the target of an LLMDeployment; `touched` says that it may have changed."""

    look: Callable[[Key], Target]
    meter: Meter
    memory: Memory
    connections: Connections
    health: HealthServicer
    changed: Callable[[bool], None]
    _served: dict[Key, Served] = field(default_factory=dict)
    _wanted: dict[Key, int] = field(default_factory=dict)
    _opened: dict[int, _Opened] = field(default_factory=dict)
    _closing: "dict[asyncio.Task[None], Port]" = field(default_factory=dict)
    _dirty: set[Key] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _contested: frozenset[Key] = frozenset()
    _is_leaving: bool = False

    def touched(self, key: Key) -> None:
        """The slices of this LLMDeployment changed."""
        self._dirty.add(key)
        self._wake.set()

    @property
    def is_settled(self) -> bool:
        """Whether every port that is wanted is open. One that another LLMDeployment has is: who
        claims it as well must not make this process unready for all."""
        return not self._dirty and all(port in self._opened for port in self._wanted.values())

    def served(self, key: Key) -> Served | None:
        """The LLMDeployment, while it is served."""
        return self._served.get(key)

    @property
    def ports(self) -> int:
        """How many are open."""
        return len(self._opened)

    def holdings(self) -> Iterator[Holding]:
        """Of every LLMDeployment that has had a call, in the order of names."""
        for key, served in sorted(self._served.items(), key=lambda each: each[0]):
            if served.received:
                room = served.room
                yield Holding(key, room.calls, room.bytes, served.forwarding, served.received)

    async def run(self) -> None:
        """Follows the slices until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.settle():
                asyncio.get_running_loop().call_later(REOPEN_SECONDS, self._wake.set)

    async def settle(self) -> bool:
        """Makes ports and pods what the slices say. False: a port could not be opened yet."""
        while self._dirty:
            key = self._dirty.pop()
            self._follow(key)
            await self._forget(key)
        return self._is_leaving or await self._settle_ports()

    async def _settle_ports(self) -> bool:
        open_now = {n: each.key for n, each in self._opened.items() if each.retiring is None}
        retiring = {n: each.key for n, each in self._opened.items() if each.retiring is not None}
        todo = changes(open_now, retiring, self._wanted)
        for number in todo.returned:
            self._keep(number)
        for number in todo.retired:
            self._retire(number)
        for key in sorted(set(todo.contested) - self._contested):
            logger.warning("Port belongs to another", extra={"llmdeployment": str(key)})
        self._contested = frozenset(todo.contested)  # looked at again when that port is closed
        return all([await self._open(number, key) for number, key in todo.opened])

    async def aclose(self, grace: float) -> None:
        """Ends what is held, lets what is forwarded end within `grace` seconds, closes all. No
        port is opened any more."""
        self._is_leaving = True
        for served in self._served.values():
            served.hold_no_more(refusals.LEAVING)
        for opened in self._opened.values():
            if opened.retiring is not None:
                opened.retiring.cancel()
        ports = {id(each): each for each in self._closing.values()}
        ports |= {id(each.port): each.port for each in self._opened.values()}
        await asyncio.gather(*(port.close(grace) for port in ports.values()))
        await asyncio.gather(*self._closing, return_exceptions=True)
        await asyncio.gather(*(served.pods.aclose() for served in self._served.values()))

    def _follow(self, key: Key) -> None:
        target = self.look(key)
        if target.port is None:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = target.port
            if key not in self._served:
                self._served[key] = self._new()
        if key in self._served:
            self._served[key].follow(target)
            self._give_up(key, target)

    def _give_up(self, key: Key, target: Target) -> None:
        """Ends what is held where nothing will take it: no port leads here, and there is no pod."""
        is_open = any(opened.key == key for opened in self._opened.values())
        if target.port is None and not target.pods and not is_open:
            self._served[key].hold_no_more(refusals.GONE)

    def _new(self) -> Served:
        return Served(
            self.meter, self.memory, self.changed, message_bytes=self.connections.message_bytes
        )

    async def _open(self, number: int, key: Key) -> bool:
        served = self._served[key]
        served.hold_no_more(None)
        port = Port(number, served, self.connections)
        try:
            await port.open(self.health)
        except RuntimeError as error:
            logger.warning("Port cannot be opened yet", extra={"port": number, "error": str(error)})
            return False
        self._opened[number] = _Opened(key, port)
        logger.info("Opened a port", extra={"port": number, "llmdeployment": str(key)})
        return True

    def _keep(self, number: int) -> None:
        opened = self._opened[number]
        if opened.retiring is not None:
            opened.retiring.cancel()
            opened.retiring = None

    def _retire(self, number: int) -> None:
        opened = self._opened[number]
        opened.retiring = asyncio.create_task(self._send_away(opened), name=f"retire {number}")
        self._closing[opened.retiring] = opened.port
        opened.retiring.add_done_callback(self._closing.pop)

    async def _send_away(self, opened: _Opened) -> None:
        """Waits until every connection has had its GOAWAY, then closes the port."""
        await asyncio.sleep(self.connections.longest_age)
        del self._opened[opened.port.number]
        self._give_up(opened.key, self.look(opened.key))
        self._wake.set()  # the number is free now
        logger.info("Closes a port", extra={"port": opened.port.number})
        await opened.port.close(LONGEST_CALL_SECONDS)
        await self._forget(opened.key)

    async def _forget(self, key: Key) -> None:
        """Drops an LLMDeployment that nothing leads to any more and that has no call."""
        served = self._served.get(key)
        is_open = any(opened.key == key for opened in self._opened.values())
        if served is None or is_open or key in self._wanted or not served.is_idle:
            return
        del self._served[key]
        await served.pods.aclose()
