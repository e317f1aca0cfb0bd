"""A control plane on loopback as in its process, pods that count calls, unmodified gRPC clients."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc
from xds.data.orca.v3 import orca_load_report_pb2
from xds.service.orca.v3 import orca_pb2

from llm_client.bootstrap import bootstrap
from llm_operator.kube.store import Key
from llm_operator.xds.board import Board
from llm_operator.xds.discovery import Discovery
from llm_operator.xds.resources import listener_name
from llm_operator.xds.traffic import Endpoint, Policy, Share, Traffic
from llm_operator.xds.wiring import CLIENT_OPTIONS

KEY = Key("team", "qwen")
METHOD = "/llm.v1.Inference/Generate"
REPORTS = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
RATE = 100.0
SECONDS = 15.0

if TYPE_CHECKING:
    GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:
    GenericHandler = grpc.GenericRpcHandler


class Counts:
    """A meter."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def answered(self, type_url: str) -> None:
        self.answers[type_url] += 1

    def refused(self, type_url: str) -> None:
        self.refusals[type_url] += 1


@dataclass(eq=False, slots=True)
class CountingPod(GenericHandler):
    """Answers every call with its name, or with `failure`, and reports `utilization`."""

    name: str
    utilization: float = 0.01
    failure: grpc.StatusCode | None = None
    calls: int = 0
    reports: int = 0
    """Told so far, to anybody."""
    metadata: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0
    server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint("127.0.0.1", self.port)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method == REPORTS:
            return grpc.unary_stream_rpc_method_handler(
                self._report, orca_pb2.OrcaLoadReportRequest.FromString, _serialized
            )
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def start(self) -> None:
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self.server.start()

    async def stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.stop(None)

    async def _answer(self, _request: bytes, context: Any) -> bytes:
        self.calls += 1
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failure is not None:
            await context.abort(self.failure, f"{self.name} does not want")
        return self.name.encode()

    async def _report(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        while True:
            yield orca_load_report_pb2.OrcaLoadReport(
                rps_fractional=RATE, application_utilization=self.utilization
            )
            self.reports += 1
            await asyncio.sleep(0.2)


def _serialized(message: Any) -> bytes:
    told: bytes = message.SerializeToString()
    return told


@dataclass(slots=True)
class TrafficStage:
    """What is shown to clients is what the test says."""

    traffic: dict[Key, Traffic] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    port: int = 0
    pods: dict[str, CountingPod] = field(default_factory=dict)
    board: Board = field(init=False)
    discovery: Discovery = field(init=False)
    _channels: list[Any] = field(default_factory=list)
    _server: grpc.aio.Server | None = None
    _running: "asyncio.Task[None] | None" = None

    async def open(self) -> None:
        """Starts the control plane, at the port it had before if there was one."""
        self.board = Board(self.traffic.get, time.monotonic)
        self.discovery = Discovery(self.board, self.counts, time.monotonic)
        for key in self.traffic:
            self.board.touched(key)
        self._running = asyncio.create_task(self.board.run())
        await self.board.settled()
        self._server = grpc.aio.server(options=CLIENT_OPTIONS)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self.discovery, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def close(self) -> None:
        """Ends the control plane alone."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    async def aclose(self) -> None:
        """Ends everything."""
        for channel in self._channels:
            await channel.close()
        await self.close()
        for pod in self.pods.values():
            await pod.stop()

    async def pod(self, name: str) -> CountingPod:
        """A pod that runs."""
        self.pods[name] = CountingPod(name)
        await self.pods[name].start()
        return self.pods[name]

    async def show(self, traffic: Traffic) -> None:
        """The objects say this now, and the control plane knows it."""
        self.flap(traffic)
        await self.board.settled()

    def flap(self, traffic: Traffic) -> None:
        """The objects say this for a moment."""
        self.traffic[traffic.key] = traffic
        self.board.touched(traffic.key)

    def hide(self, key: Key = KEY) -> None:
        """The object is gone."""
        del self.traffic[key]
        self.board.touched(key)

    def client(self, key: Key = KEY, **arguments: Any) -> Callable[..., Any]:
        """An unmodified client's call."""
        return self.channel(key, **arguments).unary_unary(METHOD)  # type: ignore[no-any-return]

    def channel(self, key: Key = KEY, **arguments: Any) -> Any:
        self._channels.append(xds_channel(listener_name(key), self.port, **arguments))
        return self._channels[-1]


_BOOTSTRAP = "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config"
"""What gRPC reads from the environment once per process, for one channel."""


def xds_channel(name: str, port: int, **arguments: Any) -> Any:
    """A client of the control plane at that port of loopback."""
    options = [(_BOOTSTRAP, bootstrap(f"127.0.0.1:{port}")), *arguments.items()]
    return grpc.aio.insecure_channel(f"xds:///{name}", options)


def alike(*pods: CountingPod, policy: Policy = Policy.ROUND_ROBIN) -> Traffic:
    """All pods are of one revision."""
    return Traffic(
        key=KEY, policy=policy, endpoints={KEY.name: tuple(sorted(p.endpoint for p in pods))}
    )


def split(stable: CountingPod, canary: CountingPod, percent: int) -> Traffic:
    """The canary gets so many per cent of the calls. As always, who gets none is no part of it."""
    parts = (("aaaa", stable, 100 - percent), ("bbbb", canary, percent))
    return Traffic(
        key=KEY,
        shares=tuple(Share(revision, share) for revision, _, share in parts if share),
        endpoints={f"qwen-{name}": (pod.endpoint,) for name, pod, share in parts if share},
    )


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await holds():  # noqa: ASYNC110  # asked by calls, which take their time
            await asyncio.sleep(0.02)


async def shares(call: Callable[..., Any], number: int) -> Counter[str]:
    """How many of so many calls each pod has answered."""
    answers: Counter[str] = Counter()
    for _ in range(number):
        answers[(await call(b"", timeout=SECONDS)).decode()] += 1
    return answers


@asynccontextmanager
async def traffic_stage() -> AsyncIterator[TrafficStage]:
    """A stage on which nothing is shown yet."""
    stage = TrafficStage()
    try:
        await stage.open()
        yield stage
    finally:
        await stage.aclose()
