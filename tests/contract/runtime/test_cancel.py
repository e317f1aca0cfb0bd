"""Cancels, deadlines and readers that do not read free their slots at the next step."""

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from llm_client import Client, LLMError, Options, connect
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from llm_runtime.engine.batch import Load
from llm_runtime.engine.request import Ending
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from support.checkpoints import tiny_llama
from support.runtime_pod import Pod, running_pod

LONG = Options(max_new_tokens=450, ignore_eos=True)


async def first_chunk(client: Client, options: Options = LONG) -> asyncio.Task[int]:
    """Starts a long stream, returns once it has begun; the task counts its chunks."""
    begun = asyncio.Event()

    async def read() -> int:
        count = 0
        async for _ in client.stream("translate to French: forty-two", options):
            count += 1
            begun.set()
        return count

    task = asyncio.create_task(read())
    await asyncio.wait(
        [task, asyncio.create_task(begun.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    return task


async def until_free(pod: Pod) -> None:
    """Returns when nothing is in the engine."""
    await pod.until_load(lambda load: load == Load())


def note_aborts(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Ending]]:
    """Notes for each abort how many steps had begun, and why it came."""
    aborts: list[tuple[int, Ending]] = []
    abort = pod.engine.abort

    def noting(request_id: str, why: Ending) -> None:
        aborts.append((len(pod.gate.steps), why))
        abort(request_id, why)

    monkeypatch.setattr(pod.engine, "abort", noting)
    return aborts


async def test_a_cancel_frees_its_slot_within_one_step(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        aborts = note_aborts(pod, monkeypatch)
        stays = await first_chunk(client)
        goes = await first_chunk(client)
        goes.cancel()
        await stays
        await until_free(pod)
    [(begun, why)] = aborts
    slots_later = {row.slot for step in pod.gate.steps[begun:] for row in step.rows}
    assert why is Ending.CANCELLED
    assert slots_later == {0}, "the cancelled sequence in slot 1 was computed again"
    assert pod.count("llm_request_failure_total", reason="cancelled") == 1


async def test_cancelling_while_waiting_leaves_the_queue(artifact: Path) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=1) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        runs = asyncio.create_task(client.generate("one", LONG))
        await pod.gate.arrive()
        await pod.gate.arrive()
        waits = asyncio.create_task(client.generate("two", LONG))
        await pod.until_load(lambda load: load.running + load.waiting == 2)
        waits.cancel()
        await pod.until_load(
            lambda _: pod.count("llm_request_failure_total", reason="cancelled") == 1
        )
        pod.gate.let_go()
        assert (await runs).finish.output_tokens == 450
        await until_free(pod)
    assert all(row.slot == 0 and row.start < 460 for step in pod.gate.steps for row in step.rows)


async def test_the_callers_deadline_frees_the_slot(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        pod.gate.hold()
        with pytest.raises(LLMError) as caught:
            await client.generate("hello", LONG, timeout=0.2)
        pod.gate.let_go()
        await until_free(pod)
    assert caught.value.code == "DEADLINE_EXCEEDED"


async def test_the_servers_own_deadline_ends_a_request_without_one(artifact: Path) -> None:
    async with (
        running_pod(artifact, request_timeout_seconds=0.3) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        with pytest.raises(LLMError, match=r"longer than 0\.3 s, the limit of this server"):
            await client.generate("hello", LONG, timeout=60)
        pod.gate.let_go()
        await until_free(pod)
    assert pod.count("llm_request_failure_total", reason="deadline") == 1


async def test_leaving_a_stream_early_cancels_it(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        stream = client.stream("hello", LONG)
        await anext(stream)
        await stream.aclose()
        await until_free(pod)
    assert sum(len(step.rows) for step in pod.gate.steps) < 450


@pytest.fixture(scope="session")
def verbose_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose every token is a word of a thousand letters, so that answers fill buffers."""
    folder = tmp_path_factory.mktemp("verbose")
    source = tiny_llama(folder / "checkpoint", max_position_embeddings=2048)
    words = {"<unk>": 0, "<s>": 1, "</s>": 2}
    words |= {chr(ord("a") + index % 26) * (1000 + index): index for index in range(3, 64)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(source / "tokenizer.json"))
    record = SourceRecord(uri="test", revision="1")
    export_model(ExportRequest(source, folder / "artifact", record))
    return folder / "artifact"


async def test_a_client_that_does_not_read_is_ended_and_the_others_are_not(
    verbose_artifact: Path,
) -> None:
    ask = pb.GenerateRequest(
        token_ids=pb.TokenIds(ids=[5]), stopping=pb.Stopping(max_new_tokens=1500, ignore_eos=True)
    )
    quick_options = Options(max_new_tokens=50, ignore_eos=True)
    async with (
        running_pod(verbose_artifact, unread_tokens=100) as pod,
        connect(pod.target) as client,
        grpc.aio.insecure_channel(pod.target, [("grpc.http2.bdp_probe", 0)]) as channel,
    ):
        slow = inference_pb2_grpc.InferenceStub(channel).GenerateStream(ask)
        messages = aiter(slow)
        await anext(messages)
        quick = await client.generate([7], quick_options)
        await until_free(pod)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in messages:
                pass
    assert quick.finish.output_tokens == 50
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "The client read the answer too slowly"
    assert pod.count("llm_request_failure_total", reason="slow_client") == 1


async def test_a_message_that_nobody_reads_for_too_long_ends_the_call(
    verbose_artifact: Path,
) -> None:
    ask = pb.GenerateRequest(
        token_ids=pb.TokenIds(ids=[5]), stopping=pb.Stopping(max_new_tokens=1500, ignore_eos=True)
    )
    async with (
        running_pod(verbose_artifact, slow_client_seconds=0.3) as pod,
        grpc.aio.insecure_channel(pod.target, [("grpc.http2.bdp_probe", 0)]) as channel,
    ):
        slow = aiter(inference_pb2_grpc.InferenceStub(channel).GenerateStream(ask))
        await anext(slow)
        await pod.until_load(
            lambda load: (
                load == Load() and pod.count("llm_request_failure_total", reason="slow_client") == 1
            )
        )
        with pytest.raises(grpc.aio.AioRpcError, match=r"was not read within 0\.3 s"):
            async for _ in slow:
                pass
