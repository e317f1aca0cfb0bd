"""The control plane's parts put together as in its process, before an API server that is a
script."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.kube.errors import WatchFailedError
from llm_operator.xds.settings import Settings
from llm_operator.xds.wiring import ControlPlane, assemble
from support.activation import until
from support.scripted_api import GOOD, Collection, ScriptedApi, served
from support.traffic_stage import CountingPod, shares, xds_channel

NAME = "qwen.team"


def a_deployment(version: int, **percents: int) -> dict[str, Any]:
    told = [{"revision": revision, "percent": percent} for revision, percent in percents.items()]
    return {
        "metadata": {
            "name": "qwen",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": str(version),
        },
        "spec": {"routing": {"policy": "RoundRobin"}},
        "status": {"rollout": {"weights": {"shares": told}}} if told else {},
    }


def a_slice(service: str, version: int, *ports: int) -> dict[str, Any]:
    """Of pods on loopback; one slice per port, as each pod has its own."""
    labels = {
        "kubernetes.io/service-name": service,
        "llm-operator.dev/deployment": "qwen",
    }
    metadata = {
        "name": service,
        "namespace": "team",
        "uid": service,
        "resourceVersion": str(version),
        "labels": labels,
    }
    return {
        "metadata": metadata,
        "ports": [{"name": "grpc", "port": port} for port in ports],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }


@dataclass
class Place:
    """A control plane that runs, and who talks to it."""

    api: ScriptedApi
    plane: ControlPlane
    pods: dict[str, CountingPod]
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    channels: list[Any] = field(default_factory=list)
    running: "asyncio.Task[None]" = field(init=False)

    def __post_init__(self) -> None:
        self.running = asyncio.create_task(self.plane.run(self.leave))

    def client(self) -> Any:
        self.channels.append(xds_channel(NAME, self.plane.port))
        return self.channels[-1].unary_unary("/llm.v1.Inference/Generate")

    def traffic(self, token: str) -> Any:
        """The leader's stream."""
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.plane.control_port}")
        self.channels.append(channel)
        stub: Any = control_pb2_grpc.TrafficStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        return stub.WatchTraffic(control_pb2.WatchTrafficRequest(), metadata=metadata, timeout=20)


@pytest.fixture
async def pods() -> AsyncIterator[dict[str, CountingPod]]:
    found = {name: CountingPod(name) for name in ("old", "new")}
    for pod in found.values():
        await pod.start()
    yield found
    for pod in found.values():
        await pod.stop()


@pytest.fixture
async def place(pods: dict[str, CountingPod]) -> AsyncIterator[Place]:
    old, new = pods["old"].port, pods["new"].port
    slices = [a_slice("qwen", 5, old), a_slice("qwen-aaaa", 6, old), a_slice("qwen-bbbb", 7, new)]
    api = ScriptedApi(Collection(slices), Collection([a_deployment(5)]))
    settings = Settings(
        operator_namespace="llm-system",
        operator_service_account="llm-operator",
        port=0,
        control_port=0,
        health_port=0,
        metrics_port=0,
        leave_seconds=0.3,
    )
    async with served(api) as url:
        plane = assemble(settings, ApiClient(Configuration(host=url)))
        place = Place(api, plane, pods)
        await until(lambda: not plane.what_is_missing())
        yield place
        place.running.cancel()
        await asyncio.wait({place.running})
        for channel in place.channels:
            await channel.close()


async def test_calls_follow_the_objects(place: Place) -> None:
    call = place.client()
    assert set(await shares(call, 5)) == {"old"}
    place.api.deployments.tell("MODIFIED", a_deployment(10, aaaa=50, bbbb=50))
    await until(lambda: list(place.plane.board.with_shares()) != [])
    while len(await shares(call, 10)) < 2:
        continue
    assert 20 < (await shares(call, 100))["new"] < 80


async def test_the_leader_hears_what_clients_have_accepted(place: Place) -> None:
    await shares(place.client(), 1)
    leader = place.traffic(GOOD)
    assert not (await leader.read()).traffic
    place.api.deployments.tell("MODIFIED", a_deployment(10, aaaa=90, bbbb=10))
    while True:
        for told in (await leader.read()).traffic:
            percents = {share.revision: share.percent for share in told.shares}
            assert (told.namespace, told.name) == ("team", "qwen")
            assert percents == {"aaaa": 90, "bbbb": 10}
            if told.acknowledged:
                assert (told.streams, told.acknowledged, told.refused) == (1, 1, 0)
                leader.cancel()
                return


async def test_whoever_is_not_the_operator_is_told_nothing(place: Place) -> None:
    assert await place.traffic("bad").code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_clients_do_is_counted(place: Place) -> None:
    await shares(place.client(), 1)
    page = place.plane.metrics.page()
    assert b"llm_xds_streams 1.0" in page
    assert b'llm_xds_answers_total{type="Listener"} 1.0' in page
    assert b"llm_xds_llmdeployments 1.0" in page


async def test_who_leaves_is_unready_first(place: Place) -> None:
    call = place.client()
    await shares(call, 1)
    place.leave.set()
    await until(lambda: place.plane.what_is_missing() == "leaving")
    assert not place.running.done()
    await asyncio.wait_for(place.running, 10)
    await shares(call, 5)


async def test_a_watch_that_cannot_go_on_ends_the_process(place: Place) -> None:
    place.api.slices.tell("ERROR", {"code": 418, "message": "tea"})
    with pytest.raises(WatchFailedError, match="tea"):
        await asyncio.wait_for(place.running, 10)
