import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_client import Options, OverloadedError, connect
from support.runtime_pod import running_pod

Talk = grpc.aio.StreamStreamCall[Any, Any]
SHORT = Options(max_new_tokens=5, ignore_eos=True)


async def test_a_full_queue_refuses_at_once_with_a_hint_and_serves_the_others(
    artifact: Path,
) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queue=2) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        served = [asyncio.create_task(client.generate(f"q{index}", SHORT)) for index in range(3)]
        await pod.until_load(lambda load: load.running + load.waiting == 3)
        with pytest.raises(OverloadedError, match="queue is full: 2 requests may wait") as caught:
            await client.generate("one too many", SHORT)
        pod.gate.let_go()
        answers = await asyncio.gather(*served)
    assert caught.value.code == "RESOURCE_EXHAUSTED"
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 30
    assert [answer.finish.output_tokens for answer in answers] == [5, 5, 5]
    assert pod.count("llm_admission_rejections_total", reason="queue_full") == 1


async def test_too_many_waiting_prompt_tokens_are_refused(artifact: Path) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queued_tokens=50) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        served = [asyncio.create_task(client.generate([5] * 30, SHORT)) for _ in range(2)]
        await pod.until_load(lambda load: load.running + load.waiting == 2)
        with pytest.raises(OverloadedError, match="40 more exceed 50"):
            await client.generate([5] * 40, SHORT)
        pod.gate.let_go()
        await asyncio.gather(*served)
    assert pod.count("llm_admission_rejections_total", reason="queued_tokens") == 1


async def test_without_a_queue_a_request_runs_now_or_is_refused(artifact: Path) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queue=0) as pod,
        connect(pod.target) as client,
    ):
        assert (await client.generate("first", SHORT)).finish.output_tokens == 5
        pod.gate.hold()
        running = asyncio.create_task(client.generate("second", SHORT))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        with pytest.raises(OverloadedError):
            await client.generate("third", SHORT)
        pod.gate.let_go()
        await running


async def test_a_full_queue_refuses_before_the_prompt_is_tokenised(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokenised(*_: object, **__: object) -> list[int]:
        raise AssertionError("a prompt was tokenised that nobody has room for")

    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queue=0) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        running = asyncio.create_task(client.generate("first", SHORT))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        monkeypatch.setattr("llm_runtime.tokenizer.codec.Codec.encode", tokenised)
        with pytest.raises(OverloadedError, match="queue is full"):
            await client.generate("x" * 20_000, SHORT)
        pod.gate.let_go()
        await running


async def reflection(channel: grpc.aio.Channel) -> Talk:
    """A call that lasts until it is cancelled."""
    talk: Talk = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await talk.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    await talk.read()
    return talk


async def test_the_data_port_bounds_its_calls_and_leaves_room_for_health(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_runtime.server.app._SPARE_CALLS", 3)
    anything = health_pb2.HealthCheckRequest()
    serving = health_pb2.HealthCheckResponse.SERVING
    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queue=1) as pod,
        grpc.aio.insecure_channel(pod.target) as channel,
        connect(pod.target) as client,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        pod.gate.hold()
        served = [asyncio.create_task(client.generate(f"q{index}", SHORT)) for index in range(2)]
        await pod.until_load(lambda load: load.running + load.waiting == 2)
        assert (await health.Check(anything)).status == serving, "a full queue is healthy"
        watches = [health.Watch(anything) for _ in range(10)]
        for watch in watches:
            await watch.read()
        talks = [await reflection(channel) for _ in range(3)]
        with pytest.raises(OverloadedError, match="too many calls, of whatever kind"):
            await client.generate("one too many", SHORT)
        with pytest.raises(OverloadedError, match="too many calls"):  # not: too large, so unread
            await client.generate("x" * (2 << 20), SHORT)
        assert await pod.health("readiness") == "SERVING", "the control port has its own bounds"
        pod.gate.let_go()
        assert [(await answer).finish.output_tokens for answer in served] == [5, 5]
        assert (await health.Check(anything)).status == serving
        for listener in (*watches, *talks):
            listener.cancel()
