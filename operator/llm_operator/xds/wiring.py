"""The parts of one control plane process, put together from its settings. No decisions here."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kubernetes.aio.client.api_client import ApiClient

from llm_client.v1 import control_pb2_grpc
from llm_operator import background
from llm_operator.control.callers import Callers, OperatorOnly
from llm_operator.kube.client import KubeClient
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import ENDPOINT_SLICE, LLM_DEPLOYMENT
from llm_operator.kube.store import Key, Store, itself, without_managed_fields
from llm_operator.kube.watch import Watch
from llm_operator.render.labels import OURS
from llm_operator.rpc import HealthServicer
from llm_operator.telemetry import health
from llm_operator.xds.board import Board
from llm_operator.xds.discovery import Discovery
from llm_operator.xds.load_reports import LoadReports
from llm_operator.xds.metrics import Metrics
from llm_operator.xds.settings import Settings
from llm_operator.xds.traffic import Traffic, of_traffic, to_be_heard, traffic
from llm_operator.xds.watch_traffic import TrafficNews

logger = logging.getLogger(__name__)


CLIENT_OPTIONS = (
    ("grpc.so_reuseport", 0),
    # A stream is silent for as long as nothing changes; one whose client vanished is found by this.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.max_receive_message_length", 4 << 20),
    # All clients come at once when a replica goes; gRPC would turn some away from a thousand on.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 50_000),
    # After a restart all clients are with the replica that stayed: they spread again with time.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
)


@dataclass(slots=True)
class ControlPlane:
    """One process: `run` it until it is cancelled or a part of it fails."""

    settings: Settings
    client: KubeClient
    board: Board
    discovery: Discovery
    news: TrafficNews
    reports: LoadReports
    watches: tuple[Watch, ...]
    metrics: Metrics
    callers: Callers
    port: int = 0
    control_port: int = 0
    health_port: int = 0
    metrics_port: int = 0
    _is_leaving: bool = False
    _servers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def run(self, leave: asyncio.Event) -> None:
        """Serves until `leave` is set, then leaves in good order. Raises what makes a watch
        useless."""
        try:
            await self._serve_probes()
            parts = [self.board.run(), self._serve(), *(watch.run() for watch in self.watches)]
            await background.together(parts, leave, self._leave)
        finally:
            await self.reports.aclose()
            await self._servers.aclose()
            await self.client.aclose()

    def what_is_missing(self) -> str:
        """Why not ready; empty when ready."""
        if self._is_leaving:
            return "leaving"
        return "" if self.port else "objects were not read yet"

    def what_is_stuck(self) -> str:
        """Why not alive; empty when alive."""
        now = asyncio.get_running_loop().time()
        return "a watch is stuck" if background.is_stuck(self.watches, now) else ""

    async def _serve_probes(self) -> None:
        self.health_port, self.metrics_port = await health.serve_process(
            self._servers, self, self.metrics.page, self.settings
        )

    async def _serve(self) -> None:
        """Opens the ports once everything is known: who is told of half of it drops the other half.
        Does not end by itself."""
        for watch in self.watches:
            await watch.synced.wait()
        await self.board.settled()
        servicer = HealthServicer()
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        control = grpc.aio.server(
            interceptors=[OperatorOnly(self.callers)], options=[("grpc.so_reuseport", 0)]
        )
        control_pb2_grpc.add_TrafficServicer_to_server(self.news, control)
        clients = grpc.aio.server(options=CLIENT_OPTIONS)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self.discovery, clients)
        self.control_port = await self._open(control, servicer, self.settings.control_port)
        self.port = await self._open(clients, servicer, self.settings.port)
        await asyncio.Event().wait()

    async def _open(self, server: grpc.aio.Server, servicer: HealthServicer, port: int) -> int:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        taken = server.add_insecure_port(f"[::]:{port}")
        await server.start()
        self._servers.push_async_callback(server.stop, None)
        return taken

    async def _leave(self) -> None:
        """Unready first, so that clients that are sent away come back to another replica."""
        self._is_leaving = True
        logger.info("Leaving", extra={"seconds": self.settings.leave_seconds})
        await asyncio.sleep(self.settings.leave_seconds)


def assemble(settings: Settings, api: ApiClient) -> ControlPlane:
    """All parts of a process."""
    client, metrics = KubeClient(api), Metrics()
    deployments = Store(slim=of_traffic, owner=itself)
    slices = Store(slim=without_managed_fields)
    reports = LoadReports(lambda key: board.touched(key))
    board = Board(
        partial(_look, deployments, slices, reports),
        time.monotonic,
        changed=lambda _: news.changed(),
    )
    discovery = Discovery(board, metrics, time.monotonic, acknowledged=lambda: news.changed())
    news = TrafficNews(board, discovery)
    metrics.measure(board, discovery)
    namespaces = settings.watch_namespaces or (None,)
    watches = tuple(
        Watch(client, what, store, board.touched)
        for namespace in namespaces
        for what, store in (
            (Selection(LLM_DEPLOYMENT, namespace), deployments),
            (Selection(ENDPOINT_SLICE, namespace, OURS), slices),
        )
    )
    callers = Callers(client, settings.operator_subject, time.monotonic)
    return ControlPlane(
        settings=settings,
        client=client,
        board=board,
        discovery=discovery,
        news=news,
        reports=reports,
        watches=watches,
        metrics=metrics,
        callers=callers,
    )


def _look(deployments: Store, slices: Store, reports: LoadReports, key: Key) -> Traffic | None:
    found = deployments.of(key)
    if not found:
        reports.follow(key, ())
        return None
    read = traffic(found[0], slices.of(key))
    return replace(read, weights=reports.follow(key, to_be_heard(read)))
