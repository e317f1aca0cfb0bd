"""What an unmodified gRPC client does with what the control plane tells it."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
import pytest

from llm_operator.xds.resources import PREFIX_HEADER, ROUTE
from llm_operator.xds.traffic import Health, Policy, Traffic
from support.traffic_stage import (
    KEY,
    SECONDS,
    TrafficStage,
    alike,
    shares,
    split,
    traffic_stage,
    until,
)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def stage() -> AsyncIterator[TrafficStage]:
    async with traffic_stage() as opened:
        yield opened


async def refused(call: Callable[..., Any], seconds: float = SECONDS) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", timeout=seconds)
    return caught.value


async def test_calls_go_to_every_pod_in_turn(stage: TrafficStage) -> None:
    pods = [await stage.pod(name) for name in "abc"]
    await stage.show(alike(*pods))
    call = stage.client()

    async def all_are_connected() -> bool:
        return len(await shares(call, 3)) == 3

    await until(all_are_connected)
    assert set((await shares(call, 30)).values()) == {10}


async def test_shares_are_drawn_for_every_call(stage: TrafficStage) -> None:
    stable, canary = await stage.pod("stable"), await stage.pod("canary")
    await stage.show(split(stable, canary, 20))
    found = await shares(stage.client(), 1000)
    assert 130 < found["canary"] < 270  # 200 and five standard deviations
    assert found.total() == 1000


async def test_a_change_of_shares_disturbs_no_call(stage: TrafficStage) -> None:
    stable, canary = await stage.pod("stable"), await stage.pod("canary")
    await stage.show(split(stable, canary, 10))
    call = stage.client()
    await shares(call, 20)
    for percent in (50, 90, 10):
        await stage.show(split(stable, canary, percent))
        await shares(call, 100)
    await stage.show(alike(stable, canary))

    async def has_followed() -> bool:
        return abs((await shares(call, 20))["canary"] - 10) <= 1

    await until(has_followed)
    await stage.show(split(stable, canary, 0))
    await shares(call, 100)


async def test_a_pod_that_is_not_ready_any_more_gets_no_new_call(stage: TrafficStage) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one, other))
    call = stage.client()
    await shares(call, 10)
    leaving = replace(one.endpoint, health=Health.DRAINING)
    await stage.show(Traffic(key=KEY, endpoints={"qwen": (leaving, other.endpoint)}))

    async def only_the_other() -> bool:
        return set(await shares(call, 4)) == {"other"}

    await until(only_the_other)
    assert set(await shares(call, 30)) == {"other"}


async def test_the_idle_pod_is_preferred(stage: TrafficStage) -> None:
    busy, idle = await stage.pod("busy"), await stage.pod("idle")
    busy.utilization, idle.utilization = 0.9, 0.1
    await stage.show(alike(busy, idle, policy=Policy.LEAST_LOAD))
    call = stage.client()

    async def follows_the_reports() -> bool:
        return (await shares(call, 100))["idle"] >= 80

    await until(follows_the_reports)


@pytest.mark.parametrize("lie", [float("nan"), -1.0, 0.0])
async def test_a_pod_that_reports_what_cannot_be_true_gets_the_mean_of_the_others(
    stage: TrafficStage, lie: float
) -> None:
    liar, busy, idle = [await stage.pod(name) for name in ("liar", "busy", "idle")]
    liar.utilization, busy.utilization, idle.utilization = lie, 0.9, 0.1
    await stage.show(alike(liar, busy, idle, policy=Policy.LEAST_LOAD))
    call = stage.client()

    async def follows_the_others() -> bool:
        found = await shares(call, 100)
        return found["idle"] > 5 * found["busy"]

    await until(follows_the_others)
    assert 80 <= (await shares(call, 300))["liar"] <= 120


async def test_calls_with_the_same_prefix_go_to_the_same_pod(stage: TrafficStage) -> None:
    pods = [await stage.pod(name) for name in "abc"]
    await stage.show(alike(*pods, policy=Policy.PREFIX_AFFINITY))
    call = stage.client()
    places = {}
    for key in map(str, range(40)):
        metadata = ((PREFIX_HEADER, key),)
        found = {(await call(b"", metadata=metadata, timeout=SECONDS)) for _ in range(3)}
        assert len(found) == 1
        places[key] = found.pop()
    assert len(set(places.values())) == 3


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
    ],
)
async def test_a_call_that_a_pod_does_not_want_is_tried_once_more(
    stage: TrafficStage, code: grpc.StatusCode
) -> None:
    full, free = await stage.pod("full"), await stage.pod("free")
    await stage.show(alike(full, free))
    call = stage.client()
    await shares(call, 10)
    full.failure, full.calls = code, 0
    assert set(await shares(call, 20)) == {"free"}
    assert full.calls > 0
    free.failure, free.calls, full.calls = code, 0, 0
    assert (await refused(call)).code() is code
    assert full.calls + free.calls == 2


async def test_an_error_of_the_request_is_not_tried_again(stage: TrafficStage) -> None:
    pod = await stage.pod("a")
    pod.failure = grpc.StatusCode.INVALID_ARGUMENT
    await stage.show(alike(pod))
    await refused(stage.client())
    assert pod.calls == 1


async def test_a_name_that_is_not_there_fails_at_once_and_is_named(stage: TrafficStage) -> None:
    """gRPC would wait 15 s for a name about which nothing is said."""
    error = await refused(stage.client(), seconds=5)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "qwen.team" in str(error.details())


async def test_a_name_that_comes_to_be_is_served(stage: TrafficStage) -> None:
    call = stage.client()
    await refused(call)
    await stage.show(alike(await stage.pod("a")))

    async def is_served() -> bool:
        with suppress(grpc.aio.AioRpcError):
            return bool(await call(b"", timeout=SECONDS) == b"a")
        return False

    await until(is_served)


async def test_a_name_that_ceases_to_be_fails_and_is_named(stage: TrafficStage) -> None:
    await stage.show(alike(await stage.pod("a")))
    call = stage.client()
    await shares(call, 1)
    stage.hide()
    await stage.board.settled()

    async def has_ended() -> bool:
        try:
            await call(b"", timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            return "qwen.team" in str(error.details())
        return False

    await until(has_ended)


async def test_without_a_pod_the_client_is_told_so(stage: TrafficStage) -> None:
    await stage.show(alike())
    error = await refused(stage.client())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "team/qwen" in str(error.details())


async def test_pods_that_vanish_for_a_moment_are_kept(stage: TrafficStage) -> None:
    pod = await stage.pod("a")
    await stage.show(alike(pod))
    call = stage.client()
    await shares(call, 1)
    await stage.show(alike())
    await stage.board.settled()
    await shares(call, 20)
    await stage.show(alike(pod))
    await stage.board.settled()
    await shares(call, 20)


async def test_a_client_goes_on_with_what_it_knows_while_the_control_plane_is_away(
    stage: TrafficStage,
) -> None:
    pod = await stage.pod("a")
    await stage.show(alike(pod))
    call = stage.client()
    await shares(call, 1)
    await stage.close()
    await shares(call, 50)


async def test_a_control_plane_that_comes_back_is_heard(stage: TrafficStage) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one))
    call = stage.client()
    await shares(call, 1)
    await stage.close()
    stage.traffic[KEY] = alike(other)
    await stage.open()

    async def has_heard() -> bool:
        return set(await shares(call, 2)) == {"other"}

    await until(has_heard)


async def test_calls_of_a_pod_that_is_killed_are_tried_on_another(stage: TrafficStage) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one, other))
    call = stage.client()
    await shares(call, 10)
    await one.stop()
    assert set(await shares(call, 20)) == {"other"}


async def test_what_clients_have_accepted_is_known(stage: TrafficStage) -> None:
    await stage.show(alike(await stage.pod("a")))
    call = stage.client()
    await shares(call, 1)
    route, version = stage.board.route(KEY)
    assert route.type_url == ROUTE

    async def is_accepted() -> bool:
        return any(
            stream.subscriptions.has_accepted(route, version) for stream in stage.discovery.streams
        )

    await until(is_accepted)


async def test_nothing_is_left_of_a_client_that_went(stage: TrafficStage) -> None:
    await stage.show(alike(await stage.pod("a")))
    channel = stage.channel()
    await channel.unary_unary("/a/b")(b"", timeout=SECONDS)
    assert len(stage.discovery.streams) == 1
    await channel.close()

    async def is_gone() -> bool:
        return not stage.discovery.streams

    await until(is_gone)
