import asyncio
from pathlib import Path

import pytest

from llm_client import Options, OverloadedError, connect
from support.runtime_pod import running_pod

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
