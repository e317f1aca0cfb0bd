"""One order of draining, whoever asks. Nothing that runs is lost."""

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_client import Client, FinishReason, Options, UnavailableError, connect
from llm_client.v1 import control_pb2 as pb
from llm_runtime.backend.base import Backend, StepInput, StepOutput
from llm_runtime.server.lifecycle import Terminate
from support.runtime_pod import Operator, Pod, eventually, running_pod

LONG = Options(max_new_tokens=400, ignore_eos=True)
SHORT = Options(max_new_tokens=3, ignore_eos=True)


class Slow:
    """A backend whose steps take longer."""

    def __init__(self, real: Backend, seconds: float) -> None:
        self._real = real
        self._seconds = seconds

    def load(self) -> None:
        self._real.load()

    def step(self, step: StepInput) -> StepOutput:
        time.sleep(self._seconds)
        return self._real.step(step)

    def close(self) -> None:
        self._real.close()


async def begin(
    client: Client, pod: Pod, running: int = 1
) -> asyncio.Task[tuple[str, FinishReason]]:
    """Starts a long answer and returns once it holds a slot."""

    async def read() -> tuple[str, FinishReason]:
        text, reason = "", None
        async for chunk in client.stream("hello", LONG):
            text += chunk.text
            reason = chunk.finish.reason if chunk.finish else None
        assert reason is not None
        return text, reason

    task = asyncio.create_task(read())
    await pod.until_load(lambda load: load.running + load.waiting >= running)
    return task


async def state(pod: Pod, operator: Operator) -> str:
    load = await pod.control.GetLoad(pb.GetLoadRequest(), metadata=operator.metadata())
    return pb.LifecycleState.Name(load.state)


async def drain(pod: Pod, operator: Operator, seconds: int | None = None) -> str:
    request = pb.DrainRequest(timeout_seconds=seconds)
    answer = await pod.control.Drain(request, metadata=operator.metadata())
    return pb.LifecycleState.Name(answer.state)


async def undrain(pod: Pod, operator: Operator) -> str:
    answer = await pod.control.Undrain(pb.UndrainRequest(), metadata=operator.metadata())
    return pb.LifecycleState.Name(answer.state)


async def until_state(pod: Pod, operator: Operator, wanted: str) -> None:
    async def reached() -> bool:
        return await state(pod, operator) == f"LIFECYCLE_STATE_{wanted}"

    await eventually(reached)


async def test_a_drained_pod_is_not_ready_first_but_still_accepts(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=30) as pod,
        connect(pod.target) as client,
    ):
        assert await drain(pod, operator) == "LIFECYCLE_STATE_LAME_DUCK"
        assert await pod.health("readiness") == "NOT_SERVING"
        assert await pod.health("liveness") == "SERVING"
        assert (await client.generate("hello", SHORT)).finish.output_tokens == 3


async def test_running_answers_are_finished_and_new_calls_refused(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file) as pod,
        connect(pod.target) as client,
    ):
        whole = (await client.generate("hello", LONG)).text
        pod.gate.hold()
        running = await begin(client, pod)
        await drain(pod, operator)
        await until_state(pod, operator, "DRAINING")
        async with connect(pod.target, timeout=0.5) as late:
            with pytest.raises(UnavailableError):
                await late.generate("too late", SHORT)
        pod.gate.let_go()
        assert await running == (whole, FinishReason.LENGTH)
        await until_state(pod, operator, "DRAINED")
        assert await pod.health("liveness") == "SERVING"


async def test_at_the_limit_the_text_so_far_is_the_answer(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=0) as pod,
        connect(pod.target) as client,
    ):
        whole = (await client.generate("hello", LONG)).text
        pod.gate.hold()
        running = await begin(client, pod)
        for _ in range(3):
            await pod.gate.arrive()
        await drain(pod, operator, seconds=0)
        await until_state(pod, operator, "DRAINING")
        pod.gate.let_go()
        text, reason = await running
        await until_state(pod, operator, "DRAINED")
    assert whole.startswith(text)
    assert reason is FinishReason.ABORTED
    assert pod.count("llm_request_success_total", finish_reason="aborted") == 1


async def test_a_drain_counts_what_its_limit_cut_off_until_it_is_taken_back(
    artifact: Path, operator: Operator
) -> None:
    async def cut_off() -> int:
        load = await pod.control.GetLoad(pb.GetLoadRequest(), metadata=operator.metadata())
        return load.requests_cut_off

    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=0) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        running = await begin(client, pod)
        await drain(pod, operator, seconds=0)
        await until_state(pod, operator, "DRAINING")
        pod.gate.let_go()
        await running
        await until_state(pod, operator, "DRAINED")
        assert await cut_off() == 1
        await undrain(pod, operator)
        assert await cut_off() == 0


async def test_a_drain_can_be_taken_back_before_calls_are_refused(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=30) as pod,
        connect(pod.target) as client,
    ):
        await drain(pod, operator)
        assert await undrain(pod, operator) == "LIFECYCLE_STATE_SERVING"
        assert await pod.health("readiness") == "SERVING"
        assert (await client.generate("hello", SHORT)).finish.output_tokens == 3


async def test_a_drained_pod_serves_again_on_the_same_port_after_undrain(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, control_auth_file=operator.file) as pod:
        target = pod.target
        for _ in range(3):
            await drain(pod, operator)
            await until_state(pod, operator, "DRAINED")
            assert await undrain(pod, operator) == "LIFECYCLE_STATE_SERVING"
            assert pod.target == target
            async with connect(target) as client:
                assert (await client.generate("hello", SHORT)).finish.output_tokens == 3


async def test_undrain_while_answers_still_run_keeps_them_and_takes_new_ones(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        running = await begin(client, pod)
        await drain(pod, operator)
        await until_state(pod, operator, "DRAINING")
        await undrain(pod, operator)
        async with connect(pod.target) as fresh:
            new = asyncio.create_task(fresh.generate("hello", SHORT))
            await pod.until_load(lambda load: load.running + load.waiting == 2)
            pod.gate.let_go()
            assert (await new).finish.output_tokens == 3
        assert (await running)[1] is FinishReason.LENGTH
        assert await state(pod, operator) == "LIFECYCLE_STATE_SERVING"


async def test_after_the_signal_to_end_nothing_is_taken_back(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=30) as pod:
        await pod.app.runner.post(Terminate(timeout=30))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await undrain(pod, operator)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "told to end" in (caught.value.details() or "")


async def test_a_drain_longer_than_a_day_is_refused(artifact: Path, operator: Operator) -> None:
    async with running_pod(artifact, control_auth_file=operator.file) as pod:
        with pytest.raises(grpc.aio.AioRpcError, match="timeout_seconds is 90000"):
            await drain(pod, operator, seconds=90_000)
        assert await pod.health("readiness") == "SERVING"


async def test_an_ageing_connection_is_replaced_without_cutting_a_stream(artifact: Path) -> None:
    async with (
        running_pod(artifact, max_connection_age_seconds=0.3) as pod,
        connect(pod.target) as client,
    ):
        whole = (await client.generate("hello", LONG)).text
        pod.gate.hold()
        running = await begin(client, pod)
        await asyncio.sleep(1.0)  # several lifetimes of a connection, jitter included
        pod.gate.let_go()
        assert await running == (whole, FinishReason.LENGTH)
        assert (await client.generate("hello", SHORT)).finish.output_tokens == 3


async def test_who_only_listens_does_not_hold_up_a_drain(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=0.5) as pod,
        grpc.aio.insecure_channel(pod.target) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await reflection.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await reflection.read()
        async with asyncio.timeout(10):  # the drain's own limit is 300 s
            await drain(pod, operator)
            assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            await until_state(pod, operator, "DRAINED")


async def test_an_idle_pod_is_drained_when_its_lame_duck_time_is_over(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, lame_duck_seconds=1) as pod,
        connect(pod.target) as client,
    ):
        await client.generate("hello", SHORT)
        begun = time.monotonic()
        await drain(pod, operator)
        await until_state(pod, operator, "DRAINED")
        seconds = time.monotonic() - begun
    assert 1 <= seconds < 3


async def test_nothing_is_cut_before_the_limit_that_the_drain_was_given(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(
            artifact,
            control_auth_file=operator.file,
            lame_duck_seconds=0,
            backend=lambda real: Slow(real, seconds=0.05),
        ) as pod,
        connect(pod.target) as client,
    ):
        running = await begin(client, pod)
        begun = time.monotonic()
        await drain(pod, operator, seconds=2)
        text, reason = await running
        seconds = time.monotonic() - begun
    assert reason is FinishReason.ABORTED
    assert text
    assert seconds >= 2


async def test_liveness_and_startup_hold_through_every_phase_of_a_drain(
    artifact: Path, operator: Operator
) -> None:
    async with (
        running_pod(artifact, control_auth_file=operator.file, hang_seconds=0.5) as pod,
        connect(pod.target) as client,
    ):
        seen = set()
        running = await begin(client, pod)
        await drain(pod, operator)
        while (phase := await state(pod, operator)) != "LIFECYCLE_STATE_DRAINED":
            seen.add(phase)
            assert await pod.health("liveness") == "SERVING"
            assert await pod.health("startup") == "SERVING"
        await running
        await asyncio.sleep(1.5)  # longer than the heartbeat's interval
        assert await pod.health("liveness") == "SERVING"
        assert await pod.health("readiness") == "NOT_SERVING"
    assert seen


async def test_under_load_a_drain_cuts_no_call_that_was_taken(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, control_auth_file=operator.file) as pod:
        outcomes: list[str] = []

        async def call_again_and_again() -> None:
            async with connect(pod.target, timeout=1) as client:
                while True:
                    received = 0
                    try:
                        async for _ in client.stream("hello", SHORT):
                            received += 1
                    except UnavailableError:
                        outcomes.append("cut" if received else "refused")
                        return
                    outcomes.append("whole")

        callers = [asyncio.create_task(call_again_and_again()) for _ in range(8)]
        await eventually(lambda: outcomes.count("whole") > 8)
        await drain(pod, operator)
        await until_state(pod, operator, "DRAINED")
        await asyncio.gather(*callers)
    assert outcomes.count("refused") == 8
    assert "cut" not in outcomes
    cancelled = pod.count("llm_request_failure_total", reason="cancelled")
    assert cancelled == 0
