"""The parts of one activator process, put together from its settings. No decisions here."""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kubernetes.aio.client.api_client import ApiClient

from llm_client.v1 import control_pb2_grpc
from llm_operator import background
from llm_operator.activator.board import Board
from llm_operator.activator.metrics import Metrics
from llm_operator.activator.port import INFERENCE, Connections
from llm_operator.activator.room import Memory
from llm_operator.activator.settings import Settings
from llm_operator.activator.target import Target, target
from llm_operator.activator.watch_held import HeldNews
from llm_operator.control.callers import Callers, OperatorOnly
from llm_operator.kube.client import KubeClient
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import ENDPOINT_SLICE
from llm_operator.kube.store import Key, Store, without_managed_fields
from llm_operator.kube.watch import Watch
from llm_operator.render.labels import OURS
from llm_operator.rpc import HealthServicer
from llm_operator.telemetry import health

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Activator:
    """One process: `run` it until it is cancelled or a part of it fails."""

    settings: Settings
    client: KubeClient
    board: Board
    watches: tuple[Watch, ...]
    news: HeldNews
    metrics: Metrics
    callers: Callers
    control_port: int = 0
    health_port: int = 0
    metrics_port: int = 0
    _is_leaving: bool = False
    _servers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def run(self, leave: asyncio.Event) -> None:
        """Serves until `leave` is set, then leaves in good order. Raises what makes a watch
        useless."""
        try:
            await self._serve()
            parts = [self.board.run(), *(watch.run() for watch in self.watches)]
            await background.together(parts, leave, self._leave)
        finally:
            await self.board.aclose(0.0)
            await self._servers.aclose()
            await self.client.aclose()

    def what_is_missing(self) -> str:
        """Why not ready; empty when ready."""
        if self._is_leaving:
            return "leaving"
        if not all(watch.synced.is_set() for watch in self.watches):
            return "slices were not read yet"
        return "" if self.board.is_settled else "a port is not open yet"

    def what_is_stuck(self) -> str:
        """Why not alive; empty when alive."""
        now = asyncio.get_running_loop().time()
        stuck = background.is_stuck(self.watches, now)
        return "the watch of EndpointSlices is stuck" if stuck else ""

    async def _serve(self) -> None:
        for service in ("", INFERENCE):
            await self.board.health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self.health_port, self.metrics_port = await health.serve_process(
            self._servers, self, self.metrics.page, self.settings
        )
        server = grpc.aio.server(
            interceptors=[OperatorOnly(self.callers)], options=[("grpc.so_reuseport", 0)]
        )
        control_pb2_grpc.add_ActivationServicer_to_server(self.news, server)
        health_pb2_grpc.add_HealthServicer_to_server(self.board.health, server)
        self.control_port = server.add_insecure_port(f"[::]:{self.settings.control_port}")
        await server.start()
        self._servers.push_async_callback(server.stop, None)

    async def _leave(self) -> None:
        """Unready first, so that nobody is sent here when the held calls are sent away."""
        self._is_leaving = True
        logger.info("Leaving", extra={"seconds": self.settings.leave_seconds})
        await asyncio.sleep(self.settings.leave_seconds)
        await self.board.aclose(self.settings.grace_seconds)


def assemble(settings: Settings, api: ApiClient) -> Activator:
    """All parts of a process."""
    client = KubeClient(api)
    metrics, store = Metrics(), Store(slim=without_managed_fields)
    board = Board(
        look=partial(_look, store),
        meter=metrics,
        memory=Memory(settings.max_held_bytes),
        connections=Connections(
            age=settings.connection_age_seconds, message_bytes=settings.max_message_bytes
        ),
        health=HealthServicer(),
        changed=lambda is_urgent: news.changed(is_urgent),
    )
    news = HeldNews(board.holdings)
    metrics.measure(board)
    return Activator(
        settings=settings,
        client=client,
        board=board,
        watches=tuple(
            Watch(client, Selection(ENDPOINT_SLICE, namespace, OURS), store, board.touched)
            for namespace in settings.watch_namespaces or (None,)
        ),
        news=news,
        metrics=metrics,
        callers=Callers(client, settings.operator_subject, time.monotonic),
    )


def _look(store: Store, key: Key) -> Target:
    return target(key.name, store.of(key))
