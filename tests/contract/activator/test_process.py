"""The activator's parts put together as in its process, before an API server that is a script."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from llm_client.v1 import control_pb2, control_pb2_grpc, inference_pb2_grpc
from llm_operator.activator.settings import Settings
from llm_operator.activator.target import ACTIVATOR_LABEL, FIRST_PORT, SERVICE_LABEL
from llm_operator.activator.wiring import Activator, assemble
from llm_operator.kube.errors import WatchFailedError
from support.activation import ask, until
from support.free_port import free_port
from support.scripted_api import GOOD, Collection, ScriptedApi, served
from support.scripted_pod import ScriptedPod, running_pod


def a_slice(name: str, port: int, *addresses: str, ours: bool = False) -> dict[str, Any]:
    labels = {SERVICE_LABEL: "demo", "llm-operator.dev/deployment": "demo"}
    return {
        "metadata": {
            "name": name,
            "namespace": "models",
            "uid": name,
            "resourceVersion": "10" if not ours else "5",
            "labels": labels | ({ACTIVATOR_LABEL: "true"} if ours else {}),
        },
        "ports": [{"name": "grpc", "port": port}],
        "endpoints": [{"addresses": [each]} for each in addresses],
    }


@dataclass
class Place:
    """An activator that runs, the port of its LLMDeployment, and who talks to it."""

    api: ScriptedApi
    activator: Activator
    port: int
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    channels: list[Any] = field(default_factory=list)
    running: "asyncio.Task[None]" = field(init=False)

    def __post_init__(self) -> None:
        self.running = asyncio.create_task(self.activator.run(self.leave))

    def client(self) -> Any:
        return inference_pb2_grpc.InferenceStub(self._channel(self.port))

    def held(self, token: str) -> Any:
        """The leader's stream."""
        stub: Any = control_pb2_grpc.ActivationStub(self._channel(self.activator.control_port))
        metadata = (("authorization", f"Bearer {token}"),)
        return stub.WatchHeld(control_pb2.WatchHeldRequest(), metadata=metadata, timeout=20)

    def ready(self, pod: ScriptedPod) -> None:
        """Kubernetes has written that the pod is ready."""
        told = a_slice("demo-abc", pod.port, "127.0.0.1")
        self.api.slices.tell("ADDED", told)

    def _channel(self, port: int) -> Any:
        self.channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return self.channels[-1]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    port = FIRST_PORT + free_port() % 10_000
    api = ScriptedApi(Collection([a_slice("demo-activator", port, "10.0.0.9", ours=True)]))
    settings = Settings(
        operator_namespace="llm-system",
        operator_service_account="llm-operator",
        control_port=0,
        health_port=0,
        metrics_port=0,
        leave_seconds=0.3,
        grace_seconds=10,
    )
    async with served(api) as url:
        activator = assemble(settings, ApiClient(Configuration(host=url)))
        place = Place(api, activator, port)
        await until(lambda: bool(activator.control_port) and not activator.what_is_missing())
        yield place
        place.running.cancel()
        await asyncio.wait({place.running})
        for channel in place.channels:
            await channel.close()


async def test_a_call_is_held_told_of_and_forwarded_as_the_slices_say(place: Place) -> None:
    leader = place.held(GOOD)
    assert not (await leader.read()).held

    call = place.client().Generate(ask("a"), timeout=20)
    (held,) = (await leader.read()).held
    assert (held.namespace, held.name, held.calls) == ("models", "demo", 1)

    async with running_pod() as pod:
        place.ready(pod)
        assert (await call).text == "a"
    assert b'llm_activator_calls_total{result="passed_on"} 1.0' in place.activator.metrics.page()
    leader.cancel()


async def test_whoever_is_not_the_operator_is_told_nothing(place: Place) -> None:
    assert await place.held("bad").code() is grpc.StatusCode.UNAUTHENTICATED


async def test_who_leaves_is_unready_first_and_then_sends_away_what_it_holds(place: Place) -> None:
    call = place.client().Generate(ask("a"), timeout=20)
    await until(lambda: any(each.calls for each in place.activator.board.holdings()))

    place.leave.set()
    await until(lambda: place.activator.what_is_missing() == "leaving")
    assert not call.done()

    assert await call.code() is grpc.StatusCode.UNAVAILABLE
    assert await call.details() == "The activator pod ends: retry"
    await asyncio.wait_for(place.running, 10)


async def test_who_leaves_ends_what_a_pod_answers_in_order(place: Place) -> None:
    async with running_pod() as pod:
        pod.gate.clear()
        place.ready(pod)
        stream = place.client().GenerateStream(ask("a", tokens=2), timeout=20)
        await stream.read()

        place.leave.set()
        await asyncio.sleep(0.5)
        assert not place.running.done()
        pod.gate.set()

        assert (await stream.read()).text == "a-1"
        assert await stream.code() is grpc.StatusCode.OK
        await asyncio.wait_for(place.running, 10)


async def test_a_watch_that_cannot_go_on_ends_the_process(place: Place) -> None:
    place.api.slices.tell("ERROR", {"code": 418, "message": "tea"})

    with pytest.raises(WatchFailedError, match="tea"):
        await asyncio.wait_for(place.running, 10)
