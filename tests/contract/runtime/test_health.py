import asyncio
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_client import LLMError, Options, connect
from llm_runtime.backend.base import BackendError
from support.runtime_pod import Operator, eventually, running_pod

LONG = Options(max_new_tokens=400, ignore_eos=True)


async def data_health(target: str, service: str) -> int:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        return int(answer.status)


async def test_a_pod_is_alive_but_not_started_before_its_first_step(artifact: Path) -> None:
    async with running_pod(artifact, held=True) as pod:
        said = [await pod.health(service) for service in ("liveness", "startup", "readiness")]
        assert said == ["SERVING", "NOT_SERVING", "NOT_SERVING"]
        pod.gate.let_go()
        await pod.until("startup", "SERVING")
        await pod.until("readiness", "SERVING")


async def test_a_ready_pod_says_so_on_both_ports(artifact: Path) -> None:
    async with running_pod(artifact) as pod:
        for service in ("startup", "readiness", "liveness"):
            assert await pod.health(service) == "SERVING"
        for service in ("", "llm.v1.Inference"):
            assert await data_health(pod.target, service) == health_pb2.HealthCheckResponse.SERVING


async def test_a_dead_engine_ends_streams_and_the_process_and_says_so(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        stream = client.stream("hello", LONG)
        await anext(stream)
        pod.gate.failure = BackendError("broken")
        with pytest.raises(LLMError) as caught:
            async for _ in stream:
                pass
        assert await asyncio.wait_for(pod.app.runner.exit_code, 10) == 1
        assert await pod.health("liveness") == "NOT_SERVING"
        assert await pod.health("readiness") == "NOT_SERVING"
    assert caught.value.code == "UNAVAILABLE"
    assert "broken" not in str(caught.value)


async def test_a_step_that_hangs_ends_liveness_and_one_that_goes_on_restores_it(
    artifact: Path,
) -> None:
    async with running_pod(artifact, hang_seconds=0.2) as pod, connect(pod.target) as client:
        pod.gate.hold()
        answer = asyncio.create_task(client.generate("hello", LONG))
        await pod.until("liveness", "NOT_SERVING")
        pod.gate.let_go()
        await pod.until("liveness", "SERVING")
        assert (await answer).finish.output_tokens == 400


async def test_an_idle_pod_stays_alive(artifact: Path) -> None:
    async with running_pod(artifact, hang_seconds=0.01) as pod:
        await asyncio.sleep(1.5)  # longer than the heartbeat's interval
        assert await pod.health("liveness") == "SERVING"


async def reflected(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> set[str]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request]), metadata=metadata):
        return {service.name for service in answer.list_services_response.service}
    return set()


async def test_both_ports_can_be_explored_by_reflection(artifact: Path, operator: Operator) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file) as pod,
        grpc.aio.insecure_channel(pod.target) as data,
    ):
        assert await reflected(data, ()) >= {
            "llm.v1.Inference",
            "xds.service.orca.v3.OpenRcaService",
            "grpc.health.v1.Health",
        }
        control = await reflected(pod.control_channel, operator.metadata())
    assert {"llm.v1.Control", "grpc.health.v1.Health"} <= control


async def test_readiness_is_seen_by_watchers_when_it_changes(artifact: Path) -> None:
    async with running_pod(artifact) as pod:
        watching = asyncio.create_task(pod.until("readiness", "NOT_SERVING"))
        await eventually(lambda: not watching.done())
        pod.gate.failure = BackendError("broken")
        async with connect(pod.target) as client:
            with pytest.raises(LLMError):
                await client.generate("hello", LONG)
        await asyncio.wait_for(watching, 10)
