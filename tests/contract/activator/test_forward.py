"""Calls that are passed on: the client notices nothing of the activator."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from llm_operator.rpc import EOF
from support.activation import Activation, ask, plain, until
from support.scripted_pod import HEAD, TAIL, Failure, ScriptedPod


@pytest.fixture
async def pod(activation: Activation) -> ScriptedPod:
    """A pod that is ready."""
    pod = await activation.pod()
    await activation.show(pod)
    return pod


async def test_a_unary_call_reaches_the_pod_and_its_answer_the_client(
    activation: Activation, pod: ScriptedPod
) -> None:
    answer = await activation.client().Generate(ask("one"), timeout=10)

    assert answer.text == "one"
    assert pod.prompts == ["one"]
    assert activation.counts.results == {"passed_on": 1}


async def test_a_stream_arrives_message_by_message(
    activation: Activation, pod: ScriptedPod
) -> None:
    pod.gate.clear()
    stream = activation.client().GenerateStream(ask("a", tokens=3), timeout=10)

    first = await stream.read()
    assert not stream.done()
    pod.gate.set()

    rest = [(await stream.read()).text, (await stream.read()).text]
    assert [first.text, *rest] == ["a-0", "a-1", "a-2"]
    assert await stream.read() is EOF


async def test_metadata_and_trailers_pass_in_both_directions(
    activation: Activation, pod: ScriptedPod
) -> None:
    sent = (("authorization", "Bearer b"), ("x-user", "u"), ("x-user-bin", b"\x00\xfe"))

    call = activation.client().Generate(ask("one"), timeout=10, metadata=sent)
    await call

    assert sent == tuple((key, pod.metadata[0][key]) for key, _ in sent)
    assert plain(await call.initial_metadata()) == HEAD
    assert plain(await call.trailing_metadata()) == TAIL


async def test_an_error_passes_unchanged(activation: Activation, pod: ScriptedPod) -> None:
    trailers = (("grpc-status-details-bin", b"\x08\x03"), ("x-why", "w"))
    for code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNIMPLEMENTED,
    ):
        pod.failures = [Failure(code, "sampling.top_p is 2: at most 1", trailers, times=1)]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await activation.client().Generate(ask("one"), timeout=10)
        assert caught.value.code() is code
        assert caught.value.details() == "sampling.top_p is 2: at most 1"
        assert plain(caught.value.trailing_metadata()) == trailers
    assert len(pod.prompts) == 4


async def test_the_deadline_of_the_client_is_the_deadline_at_the_pod(
    activation: Activation, pod: ScriptedPod
) -> None:
    await activation.client().Generate(ask("one"), timeout=5)
    await activation.client().Generate(ask("two"))

    remaining, none = pod.remaining
    assert none is None
    assert remaining is not None
    assert 4 < remaining < 5.1  # on the wire it is rounded up


async def test_a_deadline_that_passes_at_the_pod_ends_the_call_on_both_sides(
    activation: Activation, pod: ScriptedPod
) -> None:
    pod.gate.clear()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await activation.client().Generate(ask("one"), timeout=0.2)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(pod.cancelled.wait(), 10)
    await until(lambda: activation.holding.forwarding == 0)


async def test_a_clients_cancel_reaches_the_pod(activation: Activation, pod: ScriptedPod) -> None:
    pod.gate.clear()
    stream = activation.client().GenerateStream(ask("a"), timeout=10)
    await stream.read()

    stream.cancel()

    await asyncio.wait_for(pod.cancelled.wait(), 10)
    await until(lambda: activation.counts.results["cancelled"] == 1)


async def test_a_client_that_goes_away_ends_its_call_at_the_pod(
    activation: Activation, pod: ScriptedPod
) -> None:
    pod.gate.clear()
    channel = activation.channel()
    call = channel.unary_stream("/llm.v1.Inference/GenerateStream")(
        ask("a").SerializeToString(), timeout=10
    )
    await call.read()

    await channel.close(None)

    await asyncio.wait_for(pod.cancelled.wait(), 10)


async def test_a_pod_that_dies_in_mid_stream_is_unavailable(
    activation: Activation, pod: ScriptedPod
) -> None:
    pod.gate.clear()
    stream = activation.client().GenerateStream(ask("a"), timeout=10)
    await stream.read()

    await pod.stop()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert pod.prompts == ["a"]


async def test_a_message_of_the_largest_size_passes_and_a_larger_one_is_refused(
    activation: Activation, pod: ScriptedPod
) -> None:
    fits = "x" * ((1 << 20) - 16)
    answer = await activation.client().Generate(ask(fits), timeout=10)
    assert answer.text == fits

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await activation.client().Generate(ask("x" * (1 << 20)), timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert pod.prompts == [fits]


async def test_calls_go_to_the_pod_with_the_fewest(activation: Activation) -> None:
    pods = [await activation.pod() for _ in range(3)]
    for pod in pods:
        pod.gate.clear()
    await activation.show(*pods)
    await until(lambda: sum(each.is_connected for each in activation.pods) == 3)
    client = activation.client()

    streams = [client.GenerateStream(ask(str(n)), timeout=10) for n in range(9)]
    for stream in streams:
        await stream.read()

    assert [len(pod.prompts) for pod in pods] == [3, 3, 3]
    for stream in streams:
        stream.cancel()


async def test_both_sides_may_stream(activation: Activation) -> None:
    """No method of ours does, but the proxy knows no method."""

    async def echo(requests: Any, _context: Any) -> Any:
        async for message in requests:
            yield message.upper()

    pod = await activation.generic_pod(grpc.stream_stream_rpc_method_handler(echo))
    await activation.show(pod)
    call = activation.channel().stream_stream("/any.Service/Any")(timeout=10)

    for text in (b"one", b"two", b"three", b"four"):
        await call.write(text)
        assert await call.read() == text.upper()
    await call.done_writing()

    assert await call.read() is EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_client_that_streams_gets_its_one_answer(activation: Activation) -> None:
    async def join(requests: Any, _context: Any) -> bytes:
        return b"".join([message async for message in requests])

    pod = await activation.generic_pod(grpc.stream_unary_rpc_method_handler(join))
    await activation.show(pod)

    async def letters() -> Any:
        for letter in (b"a", b"b", b"c", b"d"):
            yield letter

    call = activation.channel().stream_unary("/any.Service/Any")(letters(), timeout=10)
    assert await call == b"abcd"


async def test_a_reader_that_does_not_read_stops_the_pod_and_not_the_memory(
    activation: Activation,
) -> None:
    sent = 0

    async def pour(_request: Any, _context: Any) -> Any:
        nonlocal sent
        for _ in range(1000):
            yield b"x" * 100_000
            sent += 1

    pod = await activation.generic_pod(grpc.unary_stream_rpc_method_handler(pour))
    await activation.show(pod)
    call = activation.channel().unary_stream("/any.Service/Any")(b"", timeout=10)
    await call.read()

    async with asyncio.timeout(10):
        seen = -1
        while seen != sent:
            seen = sent
            await asyncio.sleep(0.2)

    assert sent < 200
    call.cancel()
