"""What a thousand LLMDeployments and five hundred clients cost the xDS control plane.

The control plane is its own process, as in its pod. This one plays the API server, which lists and
watches, and the clients, which speak the protocol as gRPC does: listener, route, cluster,
endpoints, each answer acknowledged. Every client has a connection and a stream for each of its
targets.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from aiohttp import web
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2

from bench.figures import Figure
from llm_operator.rpc import EOF
from llm_operator.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTE

DEPLOYMENTS, ENDPOINTS_EACH = 1000, 5
CLIENTS, TARGETS = 500, 4
NAMESPACE = "bench"
SHARED = 0
"""The number of an LLMDeployment that every client uses."""
CHANGES = 5
START_SECONDS = 120.0
CHANGE_SECONDS = 30.0


def deployment(number: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"d{number}",
            "namespace": NAMESPACE,
            "uid": f"d{number}",
            "resourceVersion": "5",
        },
        "spec": {},
        "status": {},
    }


def a_slice(number: int, version: int = 5) -> dict[str, Any]:
    """Of five pods; their addresses follow from the version."""
    labels = {
        "kubernetes.io/service-name": f"d{number}",
        "llm-operator.dev/deployment": f"d{number}",
    }
    addresses = [f"10.{version % 250}.{number // 250}.{pod + 1}" for pod in range(ENDPOINTS_EACH)]
    return {
        "metadata": {
            "name": f"d{number}-x",
            "namespace": NAMESPACE,
            "uid": f"s{number}",
            "resourceVersion": str(version),
            "labels": labels,
        },
        "ports": [{"name": "grpc", "port": 50051}],
        "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
    }


@dataclass(slots=True)
class Api:
    """Lists and watches of the two kinds."""

    changes: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)

    async def deployments(self, request: web.Request) -> web.StreamResponse:
        return await self._read(request, [deployment(n) for n in range(DEPLOYMENTS)], None)

    async def slices(self, request: web.Request) -> web.StreamResponse:
        return await self._read(request, [a_slice(n) for n in range(DEPLOYMENTS)], self.changes)

    async def _read(
        self,
        request: web.Request,
        items: list[dict[str, Any]],
        changes: "asyncio.Queue[dict[str, Any]] | None",
    ) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"items": items, "metadata": {"resourceVersion": "9"}})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            event = await (changes.get() if changes is not None else asyncio.Future())
            await response.write(json.dumps(event).encode() + b"\n")


@dataclass(eq=False, slots=True)
class Stream:
    """One target of one client."""

    name: str
    crowd: "Crowd"
    nonces: dict[str, str] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    call: Any = None

    async def run(self, channel: grpc.aio.Channel) -> None:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        self.call = stub.StreamAggregatedResources()
        await self._ask(LISTENER, self.name)
        while (answer := await self.call.read()) is not EOF:
            self.nonces[answer.type_url] = answer.nonce
            await self._ask(answer.type_url, *self.names[answer.type_url])
            await self._go_on(answer)

    async def _go_on(self, answer: Any) -> None:
        """What the answer refers to is asked for next, as gRPC does."""
        match answer.type_url:
            case t if t == LISTENER and ROUTE not in self.names:
                await self._ask(ROUTE, self.name)
            case t if t == ROUTE:
                route = route_pb2.RouteConfiguration()
                answer.resources[0].Unpack(route)
                await self._ask(CLUSTER, route.virtual_hosts[0].routes[0].route.cluster)
            case t if t == CLUSTER and answer.resources and ENDPOINTS not in self.names:
                cluster = cluster_pb2.Cluster()
                answer.resources[0].Unpack(cluster)
                await self._ask(ENDPOINTS, cluster.name)
            case t if t == ENDPOINTS:
                self.crowd.heard(self.name)

    async def _ask(self, type_url: str, *names: str) -> None:
        self.names[type_url] = names
        await self.call.write(
            discovery_pb2.DiscoveryRequest(
                type_url=type_url,
                resource_names=names,
                response_nonce=self.nonces.get(type_url, ""),
            )
        )


@dataclass(slots=True)
class Crowd:
    """All clients; counts the endpoints that they were told."""

    port: int
    told: Counter[str] = field(default_factory=Counter)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def open(self) -> None:
        """Every client uses the shared LLMDeployment and three others."""
        dice = random.Random(7)
        for number in range(CLIENTS):
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.client_id", number)]
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options)
            self._channels.append(channel)
            others = dice.sample(range(1, DEPLOYMENTS), TARGETS - 1)
            for target in (SHARED, *others):
                name = f"d{target}.{NAMESPACE}"
                self.names.append(name)
                self._tasks.append(asyncio.create_task(Stream(name, self).run(channel)))

    def heard(self, name: str) -> None:
        self.told[name] += 1
        self._news.set()

    async def until(self, expected: Counter[str], seconds: float) -> None:
        """Returns when every stream has been told so often. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while any(self.told[name] < times for name, times in expected.items()):
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close(None)


@dataclass(frozen=True, slots=True)
class Cost:
    """What was measured."""

    start_seconds: float
    change_seconds: float
    many_seconds: float
    resident_megabytes: float


async def _measure() -> Cost:
    api = Api()
    async with _served(api) as url, _control_plane(url) as (port, pid):
        crowd = Crowd(port)
        began = time.monotonic()
        crowd.open()
        expected = Counter(crowd.names)
        try:
            await crowd.until(expected, START_SECONDS)
            started = time.monotonic() - began
            one = [await _change(api, crowd, expected, [SHARED], 10 + n) for n in range(CHANGES)]
            many = await _change(api, crowd, expected, list(range(1, 101)), 50)
            return Cost(started, max(one), many, _resident(pid))
        finally:
            await crowd.close()


async def _change(
    api: Api, crowd: Crowd, expected: Counter[str], numbers: list[int], version: int
) -> float:
    """Seconds from the API server's news to the last client concerned."""
    began = time.monotonic()
    for number in numbers:
        name = f"d{number}.{NAMESPACE}"
        expected[name] += crowd.names.count(name)
        api.changes.put_nowait({"type": "MODIFIED", "object": a_slice(number, version)})
    await crowd.until(expected, CHANGE_SECONDS)
    return time.monotonic() - began


@asynccontextmanager
async def _served(api: Api) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/apis/llm-operator.dev/v1alpha1/llmdeployments", api.deployments)
    app.router.add_get("/apis/discovery.k8s.io/v1/endpointslices", api.slices)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _control_plane(url: str) -> AsyncIterator[tuple[int, int]]:
    """The process; gives its port and its id."""
    port = 18_000
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "kubeconfig"
        config.write_text(_kubeconfig(url))
        environment = {
            **os.environ,
            "KUBECONFIG": str(config),
            "LLM_XDS_OPERATOR_NAMESPACE": "llm-system",
            "LLM_XDS_OPERATOR_SERVICE_ACCOUNT": "llm-operator",
            "LLM_XDS_PORT": str(port),
            "LLM_XDS_CONTROL_PORT": "0",
            "LLM_XDS_METRICS_PORT": "0",
            "LLM_XDS_HEALTH_PORT": "0",
            "LLM_XDS_LEAVE_SECONDS": "0",
            "LLM_XDS_LOG_LEVEL": "WARNING",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "llm_operator.xds", env=environment
        )
        try:
            await _until_it_listens(port)
            yield port, process.pid
        finally:
            process.terminate()
            await process.wait()


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(START_SECONDS), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as c:
        await c.channel_ready()


def _kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


def _resident(pid: int) -> float:
    """MB (10^6 bytes)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kibibytes * 1024 / 1e6


def measure() -> Iterator[Figure]:
    """The control plane's figures."""
    cost = asyncio.run(_measure())
    streams = CLIENTS * TARGETS
    name = f"control plane, {DEPLOYMENTS} x {ENDPOINTS_EACH} endpoints, {streams} streams"
    yield Figure(f"{name}: a change to the last of {CLIENTS} clients", cost.change_seconds, "s", 2)
    yield Figure(f"{name}: 100 changes at once", cost.many_seconds, "s")
    yield Figure(f"{name}: memory", cost.resident_megabytes, "MB", 250)
    yield Figure(f"{name}: all clients from nothing", cost.start_seconds, "s")
