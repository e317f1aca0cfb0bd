"""`Activation.WatchHeld`: what is held, pushed to the leader."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.activator.board import Holding


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between messages: at least `shortest`, or `urgent` where something new is held; at
    most `longest`."""

    urgent: float = 0.02
    shortest: float = 0.5
    longest: float = 5.0


@dataclass(slots=True)
class _Bell:
    """Wakes one watcher."""

    news: asyncio.Event = field(default_factory=asyncio.Event)
    alarm: asyncio.Event = field(default_factory=asyncio.Event)

    def clear(self) -> None:
        self.news.clear()
        self.alarm.clear()


@dataclass(slots=True)
class HeldNews(control_pb2_grpc.ActivationServicer):
    """`holdings` gives what is held now; `changed` is to be called when that changes."""

    holdings: Callable[[], Iterable[Holding]]
    pace: Pace = field(default_factory=Pace)
    _bells: list[_Bell] = field(default_factory=list)

    def changed(self, is_urgent: bool) -> None:
        """`is_urgent`: a first call is held, and somebody has to start a pod for it."""
        for bell in self._bells:
            bell.news.set()
            if is_urgent:
                bell.alarm.set()

    async def WatchHeld(  # noqa: N802  # gRPC's name
        self, request: control_pb2.WatchHeldRequest, context: Any
    ) -> AsyncIterator[control_pb2.WatchHeldResponse]:
        """Everything at once, and again whenever it changes."""
        del request, context
        bell = _Bell()
        self._bells.append(bell)
        try:
            while True:
                bell.clear()
                yield message(self.holdings())
                await asyncio.sleep(self.pace.urgent)  # who calls and hangs up rings it each time
                await _within(self.pace.shortest - self.pace.urgent, bell.alarm)
                await _within(self.pace.longest - self.pace.shortest, bell.news)
        finally:
            self._bells.remove(bell)


def message(holdings: Iterable[Holding]) -> control_pb2.WatchHeldResponse:
    """What goes over the wire."""
    return control_pb2.WatchHeldResponse(
        held=[
            control_pb2.HeldCalls(
                namespace=each.key.namespace,
                name=each.key.name,
                calls=each.calls,
                bytes=each.bytes,
                forwarding=each.forwarding,
                calls_received=each.received,
            )
            for each in holdings
        ]
    )


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
