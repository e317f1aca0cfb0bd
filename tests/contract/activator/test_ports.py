"""Ports: health and reflection on the spot, GOAWAY when pods can be reached, and the way back."""

import asyncio
import socket

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from llm_operator.activator.port import INFERENCE
from llm_operator.activator.target import Target
from llm_operator.kube.store import Key
from support.activation import Activation, ask, until
from support.free_port import free_port
from support.scripted_pod import HEAD, Failure

SERVING = health_pb2.HealthCheckResponse.SERVING


async def test_health_is_answered_on_the_spot_and_wakes_nothing(activation: Activation) -> None:
    await activation.board.health.set(INFERENCE, SERVING)
    stub = health_pb2_grpc.HealthStub(activation.channel())

    answer = await stub.Check(health_pb2.HealthCheckRequest(service=INFERENCE), timeout=10)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=INFERENCE), timeout=10)

    assert answer.status == SERVING
    assert (await watch.read()).status == SERVING
    assert activation.alarms == 0
    assert activation.holding.received == 0
    watch.cancel()


async def test_reflection_is_answered_on_the_spot_and_wakes_nothing(
    activation: Activation,
) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(activation.channel())
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    symbol = reflection_pb2.ServerReflectionRequest(file_containing_symbol=INFERENCE)

    answers = [each async for each in stub.ServerReflectionInfo(iter((request, symbol)))]

    named = {service.name for service in answers[0].list_services_response.service}
    assert INFERENCE in named
    assert answers[1].file_descriptor_response.file_descriptor_proto
    assert activation.alarms == 0


async def test_another_version_of_reflection_is_unimplemented_as_at_a_pod(
    activation: Activation,
) -> None:
    method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    call = activation.channel().unary_unary(method)(b"", timeout=10)

    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
    assert activation.alarms == 0


async def test_a_client_is_sent_away_when_the_slice_is_gone_and_its_stream_goes_on(
    ageing: Activation,
) -> None:
    pod = await ageing.pod()
    pod.gate.clear()
    await ageing.show(pod)
    channel = ageing.channel()
    stream = ageing.client_on(channel).GenerateStream(ask("a", tokens=3), timeout=20)
    await stream.read()

    await ageing.withdraw(pod)
    async with asyncio.timeout(10):
        while channel.get_state() is grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
    await ageing.until_closed()
    pod.gate.set()

    assert [(await stream.read()).text for _ in range(2)] == ["a-1", "a-2"]
    assert await stream.code() is grpc.StatusCode.OK
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(socket.create_connection, ("127.0.0.1", ageing.port), 5)


async def test_no_call_is_lost_when_a_client_is_sent_from_the_activator_to_the_pod(
    ageing: Activation,
) -> None:
    pod = await ageing.pod()
    await ageing.show(pod)
    service = await ageing.service()
    client = ageing.client_on(ageing.channel(service.port))
    answered, is_over = 0, asyncio.Event()

    async def ask_on() -> None:
        nonlocal answered
        while not is_over.is_set():
            assert (await client.Generate(ask("a"), timeout=10)).text == "a"
            answered += 1

    asking = [asyncio.create_task(ask_on()) for _ in range(4)]
    await until(lambda: answered > 10)
    service.target = pod.port
    await ageing.withdraw(pod)
    await ageing.until_closed()
    through_us = ageing.counts.results["passed_on"]
    is_over.set()
    await asyncio.gather(*asking)

    assert 0 < through_us < answered
    assert len(pod.prompts) == answered


async def test_a_slice_that_returns_in_time_keeps_the_port(ageing: Activation) -> None:
    pod = await ageing.pod()
    await ageing.show(pod)
    await ageing.withdraw(pod)
    await ageing.show(pod)
    await asyncio.sleep(ageing.connections.longest_age + 0.2)

    assert (await ageing.client().Generate(ask("a"), timeout=10)).text == "a"
    assert ageing.board.ports == 1


async def test_a_port_opens_again_while_an_old_stream_still_runs(ageing: Activation) -> None:
    pod = await ageing.pod()
    pod.gate.clear()
    await ageing.show(pod)
    stream = ageing.client().GenerateStream(ask("a", tokens=2), timeout=20)
    await stream.read()
    await ageing.withdraw(pod)
    await ageing.until_closed()

    await ageing.show(pod)
    call = ageing.client().Generate(ask("b"), timeout=10)
    await until(lambda: "b" in pod.prompts)
    pod.gate.set()

    assert (await call).text == "b"
    assert (await stream.read()).text == "a-1"


async def test_what_is_held_when_all_slices_are_gone_is_unavailable(
    ageing: Activation,
) -> None:
    call = ageing.client().Generate(ask("a"), timeout=20)
    await ageing.until_held(1)

    await ageing.withdraw()

    assert await call.code() is grpc.StatusCode.UNAVAILABLE
    await ageing.until_closed()
    await until(lambda: ageing.board.served(ageing.key) is None)


async def test_what_a_full_pod_will_take_later_is_held_on_when_the_slice_is_gone(
    ageing: Activation,
) -> None:
    """The slice goes when the first pod is ready, and the first pod is full at once."""
    pod = await ageing.pod()
    hint = (("grpc-retry-pushback-ms", "100"),)
    pod.failures = [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", hint)]
    await ageing.show(pod)
    call = ageing.client().Generate(ask("a"), timeout=20)
    await until(lambda: bool(pod.prompts))

    await ageing.withdraw(pod)
    await ageing.until_closed()
    await asyncio.sleep(0.2)
    pod.failures = []

    assert (await call).text == "a"
    await until(lambda: ageing.board.served(ageing.key) is None)


async def test_what_such_a_pod_never_takes_ends_when_the_pod_is_gone(ageing: Activation) -> None:
    pod = await ageing.pod()
    hint = (("grpc-retry-pushback-ms", "60000"),)
    pod.failures = [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", hint)]
    await ageing.show(pod)
    call = ageing.client().Generate(ask("a"), timeout=20)
    await ageing.until_held(1)
    await ageing.withdraw(pod)
    await ageing.until_closed()
    assert not call.done()

    await ageing.withdraw()

    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_port_that_two_claim_stays_with_the_first_and_unsettles_nobody(
    activation: Activation, caplog: pytest.LogCaptureFixture
) -> None:
    """One object must not be able to make the activator unready for all others."""
    other = Key("elsewhere", "other")
    for _ in range(3):
        activation.board.touched(other)
        assert await activation.board.settle()

    assert activation.board.is_settled
    call = activation.client().Generate(ask("a"), timeout=10)
    await activation.until_held(1)
    told = [each for each in caplog.records if each.message == "Port belongs to another"]
    assert len(told) == 1
    call.cancel()


async def test_who_claimed_a_port_in_vain_is_forgotten_with_its_slice(
    activation: Activation,
) -> None:
    other = Key("elsewhere", "other")
    activation.board.touched(other)
    await activation.board.settle()
    assert activation.board.served(other) is not None

    activation.target = Target()
    activation.board.touched(other)
    await activation.board.settle()

    assert activation.board.served(other) is None


async def test_who_leaves_opens_no_port_any_more(activation: Activation) -> None:
    await activation.board.aclose(0.0)
    activation.port = free_port()
    await activation.show()

    assert activation.board.ports == 1
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(socket.create_connection, ("127.0.0.1", activation.port), 5)


async def test_a_port_that_is_taken_is_opened_when_it_is_free(activation: Activation) -> None:
    running = asyncio.create_task(activation.board.run())
    with socket.create_server(("127.0.0.1", 0)) as other:
        activation.port = other.getsockname()[1]
        activation.tell()
        await asyncio.sleep(0.2)
        assert not activation.board.is_settled
    await until(lambda: activation.board.is_settled)

    call = activation.client().Generate(ask("a"), timeout=10)
    await activation.until_held(1)

    call.cancel()
    running.cancel()
    await asyncio.wait({running})


async def test_an_activator_that_starts_anew_serves_at_once(activation: Activation) -> None:
    """A killed one loses what it held, as UNAVAILABLE; the port and the pods come from slices."""
    lost = activation.client().Generate(ask("lost"), timeout=10)
    await activation.until_held(1)
    await activation.board.aclose(0.0)
    assert await lost.code() is grpc.StatusCode.UNAVAILABLE

    pod = await activation.pod()
    activation.restart()
    await activation.show(pod)
    call = activation.client().Generate(ask("a"), timeout=10)

    assert (await call).text == "a"
    assert tuple((key, value) for key, value in await call.initial_metadata()) == HEAD
