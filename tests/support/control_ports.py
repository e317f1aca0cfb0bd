"""Control ports of pretended pods: each on an address of its own, all on the real port number.

They live as the runtime's do (not ready, no new calls, drained) but for the times between, share a
load that the test sets, and note what they are asked.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from llm_client.v1 import control_pb2 as pb
from llm_client.v1 import control_pb2_grpc
from llm_operator.control.channel import CONTROL_PORT

SLOTS = 4
REPEAT_SECONDS = 4.0
LEAVING = frozenset(
    {
        pb.LIFECYCLE_STATE_LAME_DUCK,
        pb.LIFECYCLE_STATE_DRAINING,
        pb.LIFECYCLE_STATE_DRAINED,
    }
)


@dataclass(eq=False)
class ControlPort(control_pb2_grpc.ControlServicer):
    """One pod's. `requests` run or wait in it; `asked` says what it was asked, in order."""

    address: str
    requests: int = 0
    state: int = pb.LIFECYCLE_STATE_SERVING
    cut_off: int = 0
    lies: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    watchers: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _server: grpc.aio.Server | None = None

    @property
    def is_leaving(self) -> bool:
        return self.state in LEAVING

    async def open(self) -> None:
        """Listens."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        control_pb2_grpc.add_ControlServicer_to_server(self, server)
        server.add_insecure_port(f"{self.address}:{CONTROL_PORT}")
        await server.start()
        self._server = server

    async def close(self) -> None:
        """As if the process had been killed."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    def work(self, requests: int) -> None:
        """It has so many requests now; the last one that ends in a drain ends it."""
        self.requests = requests
        if self.state == pb.LIFECYCLE_STATE_DRAINING and not requests:
            self.state = pb.LIFECYCLE_STATE_DRAINED
        self.tell()

    def tell(self) -> None:
        """Wakes every stream."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def WatchLoad(  # noqa: N802  # gRPC's name
        self, _request: Any, _context: Any
    ) -> AsyncIterator[pb.GetLoadResponse]:
        self.watchers += 1
        try:
            while True:
                news = self._news
                yield self._message()
                try:
                    async with asyncio.timeout(REPEAT_SECONDS):
                        await news.wait()
                except TimeoutError:
                    continue
        finally:
            self.watchers -= 1

    async def GetLoad(self, _request: Any, _context: Any) -> pb.GetLoadResponse:  # noqa: N802
        return self._message()

    async def Drain(self, request: Any, _context: Any) -> pb.DrainResponse:  # noqa: N802
        self.asked.append(f"drain {request.timeout_seconds}")
        if not self.is_leaving:
            self.state = pb.LIFECYCLE_STATE_DRAINING
        self.work(self.requests)
        return pb.DrainResponse(state=self.state)  # type: ignore[arg-type]  # a number of the enum

    async def Undrain(self, _request: Any, _context: Any) -> pb.UndrainResponse:  # noqa: N802
        self.asked.append("undrain")
        self.state = pb.LIFECYCLE_STATE_SERVING
        self.tell()
        return pb.UndrainResponse(state=pb.LIFECYCLE_STATE_SERVING)

    def _message(self) -> pb.GetLoadResponse:
        running = min(SLOTS, self.requests)
        figures: dict[str, Any] = {
            "running_requests": running,
            "waiting_requests": self.requests - running,
            "tokens_held": 100 * running,
            "prompt_tokens_queued": 50 * (self.requests - running),
            "capacity_tokens": SLOTS * 512,
            "slots": SLOTS,
            "mean_prompt_tokens": 50.0,
            "mean_output_tokens": 100.0,
            "requests_cut_off": self.cut_off,
            "state": self.state,
        }
        return pb.GetLoadResponse(**figures | self.lies)


@dataclass
class ControlPorts:
    """Those of all pods, by the pod's name."""

    ports: dict[str, ControlPort] = field(default_factory=dict)
    ended_busy: list[str] = field(default_factory=list)
    """Pods that went although they served."""
    streams: int = 0
    _addresses: Iterable[str] = field(default_factory=lambda: iter(_addresses()))

    async def open(self, pod: str, address: str = "") -> str:
        """The address of a pod that starts now: this one, or one that is free."""
        port = ControlPort(address or next(iter(self._addresses)))
        await port.open()
        self.ports[pod] = port
        self.share()
        return port.address

    async def end(self, pod: str) -> None:
        """The pod is gone."""
        port = self.ports.pop(pod, None)
        if port is None:
            return
        if port.requests and not port.is_leaving:
            self.ended_busy.append(pod)
        await port.close()
        self.share()

    def load(self, streams: int) -> None:
        """So many requests at any time, shared by the pods that serve."""
        self.streams = streams
        self.share()

    def share(self) -> None:
        """Pods that drain keep what they have."""
        serving = [self.ports[name] for name in sorted(self.ports)]
        serving = [port for port in serving if not port.is_leaving]
        kept = sum(port.requests for port in self.ports.values() if port.is_leaving)
        free = max(0, self.streams - kept)
        for index, port in enumerate(serving):
            port.work(free // len(serving) + (index < free % len(serving)))

    def leaving(self) -> list[str]:
        """Pods that drain."""
        return sorted(name for name, port in self.ports.items() if port.is_leaving)

    async def aclose(self) -> None:
        for name in list(self.ports):
            await self.ports.pop(name).close()


@asynccontextmanager
async def control_ports() -> AsyncIterator[ControlPorts]:
    """Closed with the block."""
    made = ControlPorts()
    try:
        yield made
    finally:
        await made.aclose()


def _addresses() -> Iterable[str]:
    """Loopback addresses of this test alone: another test's pods have the same port number."""
    place = random.SystemRandom()
    second, third = place.randint(64, 250), place.randint(1, 254)
    return (f"127.{second}.{third}.{last}" for last in range(1, 255))
