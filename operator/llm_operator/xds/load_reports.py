"""What pods report of their load, heard from them as any gRPC client does (ORCA, out of band).

Only pods of LLMDeployments with `PrefixAffinity` are asked: under the other policies clients hear
for themselves.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import duration_pb2
from xds.data.orca.v3 import orca_load_report_pb2
from xds.service.orca.v3 import orca_pb2

from llm_operator.kube.store import Key
from llm_operator.rpc import EOF
from llm_operator.xds.overload import WHOLE, weight
from llm_operator.xds.traffic import Endpoint

logger = logging.getLogger(__name__)

METHOD = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
PERIOD_SECONDS = 1
SILENT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


@dataclass(slots=True)
class LoadReports:
    """Weights by endpoint; `changed` is told of an LLMDeployment one of whose weights moved.

    Used in one event loop.
    """

    changed: Callable[[Key], None]
    _tasks: dict[Key, "dict[Endpoint, asyncio.Task[None]]"] = field(default_factory=dict)
    _weights: dict[Key, dict[Endpoint, int]] = field(default_factory=dict)

    def follow(self, key: Key, endpoints: Iterable[Endpoint]) -> Mapping[Endpoint, int]:
        """Listens to exactly these endpoints of the LLMDeployment; returns their weights as known
        now."""
        wanted, tasks = set(endpoints), self._tasks.pop(key, {})
        weights = self._weights.pop(key, {})
        for endpoint in set(tasks) - wanted:
            tasks.pop(endpoint).cancel()
            weights.pop(endpoint, None)
        for endpoint in wanted - set(tasks):
            weights[endpoint] = WHOLE
            tasks[endpoint] = asyncio.create_task(self._listen(key, endpoint), name="load report")
        if wanted:
            self._tasks[key], self._weights[key] = tasks, weights
        return dict(weights)

    async def aclose(self) -> None:
        """Stops listening."""
        tasks = [task for group in self._tasks.values() for task in group.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, key: Key, endpoint: Endpoint) -> None:
        while True:
            try:
                await self._hear(key, endpoint)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                logger.debug(
                    "No load report", extra={"pod": endpoint.address, "error": repr(error)}
                )
            self._note(key, endpoint, None)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _hear(self, key: Key, endpoint: Endpoint) -> None:
        """One stream, until it ends or is silent."""
        async with grpc.aio.insecure_channel(_address(endpoint), options=_OPTIONS) as channel:
            call: Any = channel.unary_stream(
                METHOD,
                request_serializer=orca_pb2.OrcaLoadReportRequest.SerializeToString,
                response_deserializer=orca_load_report_pb2.OrcaLoadReport.FromString,
            )(orca_pb2.OrcaLoadReportRequest(report_interval=_period()))
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    report = await call.read()
                if report is EOF:
                    return
                self._note(key, endpoint, report.application_utilization)

    def _note(self, key: Key, endpoint: Endpoint, utilization: float | None) -> None:
        weights = self._weights.get(key)
        if weights is None or endpoint not in weights:
            return
        before = weights[endpoint]
        weights[endpoint] = weight(utilization, before)
        if weights[endpoint] != before:
            self.changed(key)


def _period() -> duration_pb2.Duration:
    return duration_pb2.Duration(seconds=PERIOD_SECONDS)


def _address(endpoint: Endpoint) -> str:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{host}:{endpoint.port}"
