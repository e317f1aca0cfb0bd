"""Bad requests are refused with the field and the limit, and nobody else notices."""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet

from llm_client import Options, connect
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from support.runtime_pod import Pod, running_pod

CONTEXT = 128
NAN, INFINITE = math.nan, math.inf


def sampling(**fields: float) -> pb.GenerateRequest:
    return pb.GenerateRequest(text="hi", sampling=pb.Sampling(**fields))  # type: ignore[arg-type]


def stopping(**fields: object) -> pb.GenerateRequest:
    return pb.GenerateRequest(text="hi", stopping=pb.Stopping(**fields))  # type: ignore[arg-type]


def chat(*turns: tuple[str, str]) -> pb.GenerateRequest:
    messages = [pb.ChatMessage(role=role, content=content) for role, content in turns]
    return pb.GenerateRequest(chat=pb.Chat(messages=messages))


def tokens(*ids: int) -> pb.GenerateRequest:
    return pb.GenerateRequest(token_ids=pb.TokenIds(ids=ids))


def unknown_field() -> pb.GenerateRequest:
    # field 15, a varint: something that a newer client might ask for
    return pb.GenerateRequest.FromString(
        pb.GenerateRequest(text="hi").SerializeToString() + b"x\x01"
    )


def unknown_field_in_a_message() -> pb.GenerateRequest:
    strange = pb.ChatMessage.FromString(
        pb.ChatMessage(role="user", content="hi").SerializeToString() + b"x\x01"
    )
    return pb.GenerateRequest(chat=pb.Chat(messages=[strange]))


INVALID = {
    "no prompt": (pb.GenerateRequest(), "prompt is missing; set one of text, token_ids and chat"),
    "empty text": (pb.GenerateRequest(text=""), "prompt has no tokens"),
    "no token ids": (tokens(), "prompt has no tokens"),
    "an id beyond the vocabulary": (tokens(3, 640), "token_ids.ids[1] is 640, the vocabulary has"),
    "a prompt as long as the context": (tokens(*[5] * CONTEXT), "the context holds 128"),
    "a far too long text": (pb.GenerateRequest(text="x" * 20_000), "prompt has 20000 characters"),
    "no message": (chat(), "chat.messages has 0 messages"),
    "an unknown role": (
        chat(("root", "hi")),
        "chat.messages[0].role is unknown; use one of system",
    ),
    "what the template refuses": (
        chat(("user", "hi"), ("system", "no")),
        "Only the first message can have the role system",
    ),
    "temperature NaN": (sampling(temperature=NAN), "sampling.temperature is nan, it must be"),
    "temperature infinite": (sampling(temperature=INFINITE), "sampling.temperature is inf"),
    "temperature below 0": (sampling(temperature=-0.5), "from 0 (greedy) to 2"),
    "temperature above 2": (sampling(temperature=2.5), "sampling.temperature is 2.5"),
    "top_p NaN": (sampling(top_p=NAN), "sampling.top_p is nan"),
    "top_p 0": (sampling(top_p=0), "sampling.top_p is 0, it must be above 0 and at most 1"),
    "top_p above 1": (sampling(top_p=1.5), "sampling.top_p is 1.5"),
    "top_k beyond the vocabulary": (sampling(top_k=641), "sampling.top_k is 641"),
    "no new tokens": (stopping(max_new_tokens=0), "stopping.max_new_tokens is 0"),
    "more than the context holds": (stopping(max_new_tokens=500), "the context holds 128 tokens"),
    "min above max": (
        stopping(max_new_tokens=5, min_new_tokens=6),
        "stopping.min_new_tokens is 6, it must be at most max_new_tokens, which is 5",
    ),
    "a stop id beyond the vocabulary": (
        stopping(stop_token_ids=[640]),
        "stopping.stop_token_ids[0] is 640",
    ),
    "too many stop ids": (stopping(stop_token_ids=[5] * 65), "stopping.stop_token_ids has 65 ids"),
    "too many stop strings": (stopping(stop_strings=["x"] * 17), "stop_strings has 17 texts"),
    "an empty stop string": (stopping(stop_strings=["a", ""]), "stop_strings[1] has 0 characters"),
    "a long stop string": (stopping(stop_strings=["x" * 129]), "stop_strings[0] has 129"),
    "including what is not there": (stopping(include_stop_string=True), "needs stop_strings"),
    "a long request id": (
        pb.GenerateRequest(request_id="x" * 129, text="hi"),
        "request_id must be",
    ),
    "a request id to break lines": (pb.GenerateRequest(request_id="a\nb", text="hi"), "request_id"),
    "a field of the future": (unknown_field(), "field 15 is not known to this server"),
    "a field of the future in a message": (
        unknown_field_in_a_message(),
        "chat.messages[0]: field 15 is not known",
    ),
}


@pytest.fixture
async def pod(artifact: Path) -> AsyncIterator[Pod]:
    async with running_pod(artifact, max_context_length=CONTEXT) as running:
        yield running


async def refusal(pod: Pod, request: pb.GenerateRequest) -> tuple[grpc.StatusCode, str]:
    async with grpc.aio.insecure_channel(pod.target) as channel:
        stub = inference_pb2_grpc.InferenceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Generate(request, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as streamed:
            await stub.GenerateStream(request, timeout=10).read()
    assert streamed.value.code() is caught.value.code()
    return caught.value.code(), caught.value.details() or ""


@pytest.mark.parametrize("case", INVALID)
async def test_an_invalid_request_is_refused_with_field_and_limit(pod: Pod, case: str) -> None:
    request, expected = INVALID[case]
    code, message = await refusal(pod, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert expected in message
    assert len(pod.gate.steps) == 1, "only the warm-up may have reached the engine"


async def test_an_unknown_model_is_not_found(pod: Pod) -> None:
    code, message = await refusal(pod, pb.GenerateRequest(model="other", text="hi"))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "'demo'" in message


async def test_a_message_beyond_the_limit_is_refused(pod: Pod) -> None:
    code, _ = await refusal(pod, pb.GenerateRequest(text="x" * (2 << 20)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_prompt_is_never_repeated_in_a_refusal(pod: Pod) -> None:
    secret = "correct horse battery staple"
    for request in (chat(("root", secret)), pb.GenerateRequest(model=secret, text=secret)):
        _, message = await refusal(pod, request)
        assert secret not in message


async def test_bad_requests_do_not_disturb_the_others(pod: Pod) -> None:
    how = Options(max_new_tokens=100, ignore_eos=True)
    async with connect(pod.target) as client:
        alone = await client.generate("hello", how)
        good = asyncio.create_task(client.generate("hello", how))
        for request, _ in INVALID.values():
            await refusal(pod, request)
        assert (await good).token_ids == alone.token_ids


# Just below the limit of a message, with as many parts as fit.
BIG = {
    "messages": (
        pb.GenerateRequest(chat=pb.Chat(messages=[pb.ChatMessage()] * 500_000)),
        "chat.messages has 500000 messages; 1 to 1024 are allowed",
    ),
    "tokens, all beyond the vocabulary": (
        tokens(*[16_000] * 500_000),
        "prompt has 500000 tokens, the context holds 128",
    ),
    "stop strings": (stopping(stop_strings=[""] * 500_000), "stop_strings has 500000 texts"),
    "stop ids": (stopping(stop_token_ids=[640] * 500_000), "stop_token_ids has 500000 ids"),
    "fields of the future": (
        pb.GenerateRequest.FromString(b"x\x01" * 500_000),
        "GenerateRequest has 1000000 bytes in fields that are not known",
    ),
}


async def test_a_million_parts_are_refused_unseen_and_a_stream_goes_on(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def counted(message: pb.GenerateRequest) -> object:
        nonlocal looked_at
        looked_at += 1
        return UnknownFieldSet(message)

    monkeypatch.setattr("llm_runtime.server.parse.UnknownFieldSet", counted)
    how = Options(max_new_tokens=100, ignore_eos=True)
    async with connect(pod.target) as client:
        alone = await client.generate("hello", how)
        pod.gate.hold()
        good = asyncio.create_task(client.generate("hello", how))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        bad = [asyncio.create_task(refusal(pod, request)) for request, _ in BIG.values()]
        pod.gate.let_go()
        assert (await good).token_ids == alone.token_ids
        refusals = await asyncio.gather(*bad)
    assert looked_at == 0
    for (code, message), (_, expected) in zip(refusals, BIG.values(), strict=True):
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert expected in message


async def test_a_bug_in_the_server_shows_nothing_of_itself_and_leaves_the_others_alone(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> list[int]:
        raise KeyError("secret path /etc/model")

    how = Options(max_new_tokens=100, ignore_eos=True)
    async with connect(pod.target) as client:
        good = asyncio.create_task(client.generate([5, 6, 7], how))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        monkeypatch.setattr("llm_runtime.tokenizer.codec.Codec.encode", broken)
        code, message = await refusal(pod, pb.GenerateRequest(text="hello"))
        assert (await good).finish.output_tokens == 100
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in message
    [call] = re.findall(r"call ([0-9a-f]+-\d+)", message)
    assert any(getattr(record, "call", None) == call for record in caplog.records)
