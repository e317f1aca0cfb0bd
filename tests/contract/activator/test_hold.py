"""Calls that no pod can have yet: held, in order, within bounds, and for no longer than asked."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from xds.data.orca.v3 import orca_load_report_pb2
from xds.service.orca.v3 import orca_pb2

from llm_operator.activator.room import CALL_BYTES
from llm_operator.activator.target import Limits
from support.activation import Activation, ask, plain, until
from support.scripted_pod import Failure


async def ended(call: "grpc.aio.Call") -> tuple[grpc.StatusCode, str]:
    return await call.code(), await call.details()


async def test_held_calls_are_all_answered_when_a_pod_becomes_ready(
    activation: Activation,
) -> None:
    """They are handed over in the order in which they came (tests/unit); gRPC's threads on both
    sides may still let one stream overtake another."""
    pod = await activation.pod()
    client = activation.client()
    calls = []
    for number in range(30):
        calls.append(client.Generate(ask(str(number)), timeout=10))
        await activation.until_held(number + 1)

    await activation.show(pod)

    assert [(await call).text for call in calls] == [str(n) for n in range(30)]
    assert sorted(pod.prompts, key=int) == [str(n) for n in range(30)]
    assert activation.holding == (activation.holding.key, 0, 0, 0, 30)


async def test_the_first_held_call_is_told_at_once_and_the_next_are_not(
    activation: Activation,
) -> None:
    client = activation.client()
    calls = [client.Generate(ask("a"), timeout=10) for _ in range(3)]
    await activation.until_held(3)
    assert activation.alarms == 1
    for call in calls:
        call.cancel()
    await activation.until_held(0)

    call = client.Generate(ask("a"), timeout=10)
    await activation.until_held(1)

    assert activation.alarms == 2
    call.cancel()


async def test_who_asks_for_load_reports_is_answered_and_wakes_nothing(
    activation: Activation,
) -> None:
    """Clients that balance by load ask every endpoint that they are told of."""
    call: Any = activation.channel().unary_stream(
        "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
        request_serializer=orca_pb2.OrcaLoadReportRequest.SerializeToString,
        response_deserializer=orca_load_report_pb2.OrcaLoadReport.FromString,
    )(orca_pb2.OrcaLoadReportRequest())
    report = await asyncio.wait_for(call.read(), 10)
    assert 0 < report.application_utilization < 1
    assert report.rps_fractional == 100
    assert activation.alarms == 0
    assert not list(activation.board.holdings())
    call.cancel()


async def test_a_stream_that_was_held_streams(activation: Activation) -> None:
    pod = await activation.pod()
    stream = activation.client().GenerateStream(ask("a", tokens=2), timeout=10)
    await activation.until_held(1)

    await activation.show(pod)

    assert [message.text async for message in stream] == ["a-0", "a-1"]


async def test_what_is_held_has_its_deadline_left_at_the_pod(activation: Activation) -> None:
    pod = await activation.pod()
    call = activation.client().Generate(ask("a"), timeout=5)
    await activation.until_held(1)
    await asyncio.sleep(0.3)

    await activation.show(pod)
    await call

    assert pod.remaining[0] is not None
    assert pod.remaining[0] < 4.8


async def test_a_cancel_while_held_frees_the_place(activation: Activation) -> None:
    await activation.show(limits=Limits(calls=1))
    call = activation.client().Generate(ask("a"), timeout=10)
    await activation.until_held(1)

    call.cancel()

    await activation.until_held(0)
    assert activation.holding.bytes == 0
    again = activation.client().Generate(ask("b"), timeout=10)
    await activation.until_held(1)
    again.cancel()


async def test_a_deadline_while_held_ends_the_call_and_frees_the_place(
    activation: Activation,
) -> None:
    call = activation.client().Generate(ask("a"), timeout=0.2)

    assert (await ended(call))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await activation.until_held(0)
    assert activation.counts.results == {"cancelled": 1}


async def test_a_client_that_goes_away_while_held_frees_the_place(activation: Activation) -> None:
    channel = activation.channel()
    call = channel.unary_unary("/llm.v1.Inference/Generate")(b"", timeout=10)
    await activation.until_held(1)

    await channel.close(None)

    await activation.until_held(0)
    assert call.done()


async def test_the_hold_timeout_is_unavailable(activation: Activation) -> None:
    await activation.show(limits=Limits(seconds=0.2))

    code, details = await ended(activation.client().Generate(ask("a"), timeout=10))

    assert code is grpc.StatusCode.UNAVAILABLE
    assert "0.2 s" in details
    assert activation.counts.results == {"timed_out": 1}


async def test_more_calls_than_may_wait_are_refused_with_a_hint(activation: Activation) -> None:
    await activation.show(limits=Limits(calls=2))
    client = activation.client()
    held = [client.Generate(ask("a"), timeout=10) for _ in range(2)]
    await activation.until_held(2)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.Generate(ask("b"), timeout=10)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert plain(caught.value.trailing_metadata()) == (("grpc-retry-pushback-ms", "5000"),)
    assert activation.holding.calls == 2
    for call in held:
        call.cancel()


async def test_more_bytes_than_may_wait_are_refused_with_a_hint(activation: Activation) -> None:
    activation.memory.limit = 1_500_000
    first = activation.client().Generate(ask("x" * 1_000_000), timeout=10)
    await until(lambda: activation.holding.bytes > 1_000_000)

    code, details = await ended(activation.client().Generate(ask("y" * 1_000_000), timeout=10))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "bytes" in details
    assert activation.holding.calls == 1
    first.cancel()
    await activation.until_held(0)
    assert activation.memory.used == 0


async def test_a_request_that_streams_is_held_with_two_messages_at_most(
    activation: Activation,
) -> None:
    call = activation.channel().stream_stream("/any.Service/Any")(timeout=10)
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            await call.write(b"x" * 100_000)
            written += 1

    writing = asyncio.create_task(write())
    await until(lambda: activation.holding.bytes == 200_000)
    await asyncio.sleep(0.3)

    assert activation.holding.bytes == 200_000
    assert written < 20
    writing.cancel()
    call.cancel()
    await asyncio.wait({writing})


async def test_a_pod_that_refuses_connections_is_waited_for(activation: Activation) -> None:
    pod = await activation.pod()
    await pod.stop()
    await activation.show(pod)
    call = activation.client().Generate(ask("a"), timeout=10)
    await activation.until_held(1)

    await pod.start()

    assert (await call).text == "a"


async def test_a_call_that_one_pod_breaks_off_unanswered_goes_to_another(
    activation: Activation,
) -> None:
    broken, good = await activation.pod(), await activation.pod()
    broken.failures = [Failure(grpc.StatusCode.UNAVAILABLE)]
    await activation.show(broken)
    await until(lambda: any(pod.is_connected for pod in activation.pods))
    call = activation.client().Generate(ask("a"), timeout=10)
    await until(lambda: len(broken.prompts) == 1)

    await activation.show(broken, good)

    assert (await call).text == "a"
    assert good.prompts == ["a"]


async def test_a_call_that_every_pod_breaks_off_ends_with_their_own_words(
    activation: Activation,
) -> None:
    pod = await activation.pod()
    pod.failures = [Failure(grpc.StatusCode.UNAVAILABLE, "the engine stands", (("x-a", "b"),))]
    await activation.show(pod)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await activation.client().Generate(ask("a"), timeout=10)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the engine stands"
    assert plain(caught.value.trailing_metadata()) == (("x-a", "b"),)
    assert len(pod.prompts) == 5


async def test_a_full_queue_is_waited_for_as_long_as_it_asks(activation: Activation) -> None:
    pod = await activation.pod()
    hint = (("grpc-retry-pushback-ms", "100"),)
    pod.failures = [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", hint, times=3)]
    await activation.show(pod)

    assert (await activation.client().Generate(ask("a"), timeout=10)).text == "a"
    assert len(pod.prompts) == 4


async def test_a_server_that_asks_for_no_other_try_gets_none(activation: Activation) -> None:
    pod = await activation.pod()
    never = (("grpc-retry-pushback-ms", "-1"),)
    pod.failures = [Failure(grpc.StatusCode.UNAVAILABLE, "no", never)]
    await activation.show(pod)

    code, _ = await ended(activation.client().Generate(ask("a"), timeout=10))

    assert code is grpc.StatusCode.UNAVAILABLE
    assert len(pod.prompts) == 1


async def test_a_pod_that_asks_for_no_pause_is_not_asked_in_a_loop_and_not_for_ever(
    activation: Activation,
) -> None:
    pod = await activation.pod()
    now = (("grpc-retry-pushback-ms", "0"),)
    pod.failures = [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", now)]
    await activation.show(pod, limits=Limits(seconds=0.5))

    code, details = await ended(activation.client().Generate(ask("a")))

    assert (code, details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    assert 2 <= len(pod.prompts) <= 12


async def test_a_full_queue_costs_a_call_none_of_its_tries(activation: Activation) -> None:
    pod = await activation.pod()
    hint = (("grpc-retry-pushback-ms", "1"),)
    pod.failures = [
        Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", hint, times=6),
        Failure(grpc.StatusCode.UNAVAILABLE, times=1),
    ]
    await activation.show(pod)

    assert (await activation.client().Generate(ask("a"), timeout=10)).text == "a"


async def test_what_is_held_goes_to_a_pod_that_is_ready_again(activation: Activation) -> None:
    """It was kept for a stream that it still answers, so its connection never came up anew."""
    pod = await activation.pod()
    pod.gate.clear()
    await activation.show(pod)
    stream = activation.client().GenerateStream(ask("a"), timeout=10)
    await stream.read()
    await activation.show()
    call = activation.client().Generate(ask("b"), timeout=10)
    await activation.until_held(1)

    await activation.show(pod)
    pod.gate.set()

    assert (await call).text == "b"


async def test_requests_that_a_pod_leaves_unanswered_are_bounded_too(
    activation: Activation,
) -> None:
    """A pod that hangs takes all it is given: what is kept for another try fills the memory."""
    activation.memory.limit = 2_500_000
    came, gate = 0, asyncio.Event()

    async def hang(request: bytes, _context: Any) -> bytes:
        nonlocal came
        came += 1
        await gate.wait()
        return request

    await activation.show(await activation.generic_pod(grpc.unary_unary_rpc_method_handler(hang)))
    ask_for = activation.channel().unary_unary("/any.Service/Any")
    running = [ask_for(b"x" * 1_000_000, timeout=20) for _ in range(2)]
    await until(lambda: came == 2)

    code, details = await ended(ask_for(b"y" * 1_000_000, timeout=20))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "bytes" in details
    assert activation.memory.used <= activation.memory.limit
    gate.set()
    for call in running:
        assert len(await call) == 1_000_000
    await until(lambda: activation.memory.used == 0)


async def test_calls_without_a_byte_are_bounded_by_the_memory_too(activation: Activation) -> None:
    activation.memory.limit = 3 * CALL_BYTES
    call = activation.channel().stream_stream("/any.Service/Any")
    held = [call(timeout=10) for _ in range(3)]
    await activation.until_held(3)

    code, _ = await ended(activation.client().Generate(ask(""), timeout=10))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    for each in held:
        each.cancel()
    await until(lambda: activation.memory.used == 0)


async def test_a_call_that_is_broken_off_before_its_request_has_ended_goes_to_another_pod(
    activation: Activation,
) -> None:
    async def refuse(_requests: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        yield b""

    async def join(requests: Any, _context: Any) -> Any:
        yield b"".join([message async for message in requests])

    broken = await activation.generic_pod(grpc.stream_stream_rpc_method_handler(refuse))
    good = await activation.generic_pod(grpc.stream_stream_rpc_method_handler(join))
    await activation.show(broken)
    call = activation.channel().stream_stream("/any.Service/Any")(timeout=10)
    await call.write(b"one")
    await until(lambda: activation.holding.bytes == 3)

    await activation.show(broken, good)
    await call.done_writing()

    assert await call.read() == b"one"
