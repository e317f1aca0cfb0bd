"""The load as a stream: at once, on change, for as long as the pod lives, with a clean end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from llm_client import LLMError, Options, connect
from llm_client.v1 import control_pb2 as pb
from llm_runtime.backend.base import BackendError
from llm_runtime.server import ports
from llm_runtime.server.lifecycle import Terminate
from support.runtime_pod import Operator, Pod, eventually, running_pod

Watch = grpc.aio.UnaryStreamCall[pb.WatchLoadRequest, pb.GetLoadResponse]
SOON = 3.0  # less than the pause of a stream that has nothing to tell


def watch(pod: Pod, operator: Operator) -> Watch:
    return pod.control.WatchLoad(pb.WatchLoadRequest(), metadata=operator.metadata())


async def after(stream: Watch, seconds: float = 10) -> pb.GetLoadResponse:
    """The next message."""
    async with asyncio.timeout(seconds):
        message = await stream.read()
    assert isinstance(message, pb.GetLoadResponse), "the stream ended"
    return message


async def until(stream: Watch, state: str, seconds: float = 10) -> pb.GetLoadResponse:
    """The first message with the state."""
    wanted = pb.LifecycleState.Value(f"LIFECYCLE_STATE_{state}")
    async with asyncio.timeout(seconds):
        while (message := await after(stream)).state != wanted:
            pass
    return message


async def code_at_the_end(stream: Watch) -> grpc.StatusCode:
    """Reads the rest."""
    async with asyncio.timeout(10):
        while isinstance(await stream.read(), pb.GetLoadResponse):
            pass
        return await stream.code()


@asynccontextmanager
async def watched_pod(
    artifact: Path, operator: Operator, **settings: Any
) -> AsyncIterator[tuple[Pod, Watch]]:
    """A pod that serves and a stream whose first message was read."""
    async with running_pod(artifact, control_auth_file=operator.file, **settings) as pod:
        stream = watch(pod, operator)
        assert (await after(stream, SOON)).state == pb.LIFECYCLE_STATE_SERVING
        yield pod, stream


async def test_the_first_message_is_there_at_once_and_says_what_a_call_does(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, control_auth_file=operator.file) as pod:
        first = await after(watch(pod, operator), SOON)
        asked = await pod.control.GetLoad(pb.GetLoadRequest(), metadata=operator.metadata())
    assert 0 < first.at_seconds < asked.at_seconds
    first.at_seconds = asked.at_seconds
    assert first == asked
    assert (first.slots, first.requests_received, first.request_seconds) == (16, 0, 0.0)


async def test_a_request_shows_at_once_in_a_stream_that_was_silent(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator) as (pod, stream), connect(pod.target) as client:
        await asyncio.sleep(0.6)  # longer than the pause between two changes of the load
        pod.gate.hold()
        answer = asyncio.create_task(client.generate([5] * 20, Options(max_new_tokens=2)))
        busy = await after(stream, SOON)
        assert busy.running_requests + busy.waiting_requests == 1
        assert busy.requests_received == 1
        held = await pod.control.GetLoad(pb.GetLoadRequest(), metadata=operator.metadata())
        passed = held.at_seconds - busy.at_seconds
        assert held.request_seconds - busy.request_seconds == pytest.approx(passed)
        pod.gate.let_go()
        await answer
        while (idle := await after(stream)).running_requests + idle.waiting_requests:
            pass
    assert (idle.mean_prompt_tokens, idle.mean_output_tokens) == (20, 2)
    assert idle.time_to_first_token_p90_seconds > 0
    assert idle.inter_token_latency_p90_seconds > 0


async def test_steps_in_their_hundreds_make_two_messages_a_second(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator) as (pod, stream), connect(pod.target) as client:
        begun, told = time.monotonic(), 0
        answer = asyncio.create_task(
            client.generate([5] * 8, Options(max_new_tokens=400, ignore_eos=True))
        )
        while not answer.done() or told == 0:
            await after(stream)
            told += 1
        seconds = time.monotonic() - begun
        await answer
    assert len(pod.gate.steps) > 100
    assert told <= 2 * seconds + 1


async def test_every_state_of_a_drain_and_of_its_end_is_pushed_at_once(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator, lame_duck_seconds=0.1) as (pod, stream):
        for _ in range(2):
            await pod.control.Drain(pb.DrainRequest(), metadata=operator.metadata())
            await until(stream, "LAME_DUCK", SOON)
            await until(stream, "DRAINED", SOON)
            await pod.control.Undrain(pb.UndrainRequest(), metadata=operator.metadata())
            await until(stream, "SERVING", SOON)


async def test_a_pod_that_starts_says_so_and_then_that_it_serves(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, held=True, control_auth_file=operator.file) as pod:
        stream = watch(pod, operator)
        first = await after(stream)
        pod.gate.let_go()
        await until(stream, "SERVING")
    assert first.state == pb.LIFECYCLE_STATE_STARTING
    assert first.capacity_tokens > 0


async def test_many_watchers_hear_the_same(artifact: Path, operator: Operator) -> None:
    async with watched_pod(artifact, operator, lame_duck_seconds=30) as (pod, _):
        streams = [watch(pod, operator) for _ in range(100)]
        await asyncio.gather(*(after(stream) for stream in streams))
        await pod.control.Drain(pb.DrainRequest(), metadata=operator.metadata())
        await asyncio.gather(*(until(stream, "LAME_DUCK") for stream in streams))


async def test_a_dead_engine_is_pushed_and_the_stream_ends_well(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator) as (pod, stream), connect(pod.target) as client:
        pod.gate.failure = BackendError("broken")
        with pytest.raises(LLMError):
            await client.generate("hello", Options(max_new_tokens=3))
        failed = await until(stream, "FAILED", SOON)
        later = await after(watch(pod, operator))
        await pod.app.close()
        assert await code_at_the_end(stream) is grpc.StatusCode.OK
    assert (failed.running_requests, failed.waiting_requests) == (0, 0)
    assert later.state == pb.LIFECYCLE_STATE_FAILED


async def test_an_engine_that_died_while_it_loaded_is_pushed_too(
    artifact: Path, operator: Operator
) -> None:
    async with running_pod(artifact, held=True, control_auth_file=operator.file) as pod:
        stream = watch(pod, operator)
        await after(stream)
        pod.gate.failure = BackendError("broken")
        pod.gate.let_go()
        await until(stream, "FAILED")


async def test_the_end_of_the_process_is_told_and_ends_the_stream_well(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator, lame_duck_seconds=0) as (pod, stream):
        await pod.app.runner.post(Terminate(timeout=10))
        assert await asyncio.wait_for(pod.app.runner.exit_code, 10) == 0
        await until(stream, "DRAINED", SOON)
        begun = time.monotonic()
        await pod.app.close()
        assert await code_at_the_end(stream) is grpc.StatusCode.OK
        assert time.monotonic() - begun < 2


async def test_a_stream_outlives_the_limits_of_calls_and_of_connections(
    artifact: Path, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "CONTROL_CALL_SECONDS", 0.2)
    monkeypatch.setattr(ports, "CONTROL_AGE_SECONDS", 0.2)
    async with watched_pod(artifact, operator, lame_duck_seconds=30) as (pod, stream):
        await asyncio.sleep(1.0)  # several of both limits
        await pod.control.Drain(pb.DrainRequest(), metadata=operator.metadata())
        await until(stream, "LAME_DUCK", SOON)


async def test_a_watcher_that_goes_away_leaves_nothing_behind(
    artifact: Path, operator: Operator
) -> None:
    async with watched_pod(artifact, operator, lame_duck_seconds=30) as (pod, stream):
        streams = [watch(pod, operator) for _ in range(20)]
        await asyncio.gather(*(after(other) for other in streams))
        for other in streams:
            other.cancel()
        await pod.control.Drain(pb.DrainRequest(), metadata=operator.metadata())
        await until(stream, "LAME_DUCK", SOON)
        await eventually(lambda: len(pod.app._feed._watchers) == 1)
