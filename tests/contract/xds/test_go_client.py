"""What an unmodified gRPC client in Go does with what the control plane tells it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest

from llm_operator.xds.resources import PREFIX_HEADER
from llm_operator.xds.traffic import Health, Policy, Traffic
from support.go_client import GoClient, go_client
from support.programs import built
from support.traffic_stage import (
    KEY,
    SECONDS,
    TrafficStage,
    alike,
    split,
    traffic_stage,
    until,
)

pytestmark = pytest.mark.timeout(90, func_only=True)  # where it has to be built, that takes minutes


@pytest.fixture(scope="module")
def program() -> Path:
    return built("xds-client").path("xds-client")


@pytest.fixture
async def stage() -> AsyncIterator[TrafficStage]:
    async with traffic_stage() as opened:
        yield opened


@pytest.fixture
async def client(program: Path, stage: TrafficStage) -> AsyncIterator[GoClient]:
    async with go_client(program, stage) as started:
        yield started


async def is_followed(stage: TrafficStage, shown: Traffic) -> bool:
    """Whether clients are told this, and have accepted it."""
    route, version = stage.board.route(KEY)
    return stage.board.shares(KEY) == shown.shares and all(
        stream.subscriptions.has_accepted(route, version) for stream in stage.discovery.streams
    )


async def calling(client: GoClient, done: asyncio.Event) -> Counter[str]:
    """Who has answered until then, where every call was answered."""
    answers: Counter[str] = Counter()
    while not done.is_set():
        answers += (await client.calls(50)).shares
    return answers


@pytest.mark.parametrize("policy", Policy)
async def test_every_policy_is_accepted(
    stage: TrafficStage, client: GoClient, policy: Policy
) -> None:
    told = alike(await stage.pod("a"), policy=policy)
    await stage.show(told)
    assert (await client.calls(1)).shares == {"a": 1}
    await until(partial(is_followed, stage, told))
    assert not stage.counts.refusals


async def test_calls_go_to_every_pod_in_turn(stage: TrafficStage, client: GoClient) -> None:
    await stage.show(alike(*[await stage.pod(name) for name in "abc"]))

    async def all_are_connected() -> bool:
        return len((await client.calls(3)).shares) == 3

    await until(all_are_connected)
    assert (await client.calls(30)).shares == {"a": 10, "b": 10, "c": 10}


async def test_shares_are_drawn_for_every_call(stage: TrafficStage, client: GoClient) -> None:
    await stage.show(split(await stage.pod("stable"), await stage.pod("canary"), 20))
    found = (await client.calls(1000)).shares
    assert 130 < found["canary"] < 270  # 200 and five standard deviations
    assert found.total() == 1000


async def test_a_change_of_shares_disturbs_no_call(stage: TrafficStage, client: GoClient) -> None:
    """Nor that of clusters, of which Go's balancer hears after its routes."""
    stable, canary = await stage.pod("stable"), await stage.pod("canary")
    await stage.show(alike(stable))
    assert (await client.calls(1)).shares == {"stable": 1}
    done = asyncio.Event()
    calls = asyncio.create_task(calling(client, done))
    for shown in (*(split(stable, canary, share) for share in (0, 10, 90, 100)), alike(canary)):
        await stage.show(shown)
        await until(partial(is_followed, stage, shown))
    done.set()
    assert set(await calls) == {"stable", "canary"}


async def test_a_pod_that_is_not_ready_any_more_gets_no_new_call(
    stage: TrafficStage, client: GoClient
) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one, other))
    assert (await client.calls(10)).shares.total() == 10
    leaving = replace(one.endpoint, health=Health.DRAINING)
    await stage.show(Traffic(key=KEY, endpoints={"qwen": (leaving, other.endpoint)}))

    async def only_the_other() -> bool:
        return set((await client.calls(4)).shares) == {"other"}

    await until(only_the_other)
    assert set((await client.calls(30)).shares) == {"other"}


async def test_the_idle_pod_is_preferred(stage: TrafficStage, client: GoClient) -> None:
    busy, idle = await stage.pod("busy"), await stage.pod("idle")
    busy.utilization, idle.utilization = 0.9, 0.1
    await stage.show(alike(busy, idle, policy=Policy.LEAST_LOAD))

    async def follows_the_reports() -> bool:
        return (await client.calls(100)).shares["idle"] >= 80

    await until(follows_the_reports)


async def test_a_prefix_has_one_pod_the_same_for_clients_in_go_and_in_python(
    stage: TrafficStage, client: GoClient
) -> None:
    """Both libraries hash addresses and keys alike."""
    pods = [await stage.pod(name) for name in "abc"]
    await stage.show(alike(*pods, policy=Policy.PREFIX_AFFINITY))
    call = stage.client()
    places = {}
    for key in map(str, range(40)):
        found = set((await client.calls(3, prefix=key)).shares)
        found.add((await call(b"", metadata=((PREFIX_HEADER, key),), timeout=SECONDS)).decode())
        assert len(found) == 1
        places[key] = found.pop()
    assert len(set(places.values())) == 3


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Unavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ResourceExhausted"),
        (grpc.StatusCode.CANCELLED, "Canceled"),
    ],
)
async def test_a_call_that_a_pod_does_not_want_is_tried_once_more(
    stage: TrafficStage, client: GoClient, code: grpc.StatusCode, name: str
) -> None:
    full, free = await stage.pod("full"), await stage.pod("free")
    await stage.show(alike(full, free))

    async def both_are_connected() -> bool:
        return len((await client.calls(2)).shares) == 2

    await until(both_are_connected)
    full.failure, full.calls = code, 0
    assert (await client.calls(20)).shares == {"free": 20}
    assert full.calls > 0
    free.failure, free.calls, full.calls = code, 0, 0
    assert (await client.calls(1)).errors == {name: 1}
    assert full.calls + free.calls == 2


async def test_an_error_of_the_request_is_not_tried_again(
    stage: TrafficStage, client: GoClient
) -> None:
    pod = await stage.pod("a")
    pod.failure = grpc.StatusCode.INVALID_ARGUMENT
    await stage.show(alike(pod))
    assert (await client.calls(1)).errors == {"InvalidArgument": 1}
    assert pod.calls == 1


async def test_a_name_that_is_not_there_fails_at_once_and_is_named(client: GoClient) -> None:
    """gRPC would wait 15 s for a name about which nothing is said. Of the very first call Go may
    say only that there are no addresses: its balancer hears of it before its routes do."""

    async def is_named() -> bool:
        told = await client.calls(1)
        assert told.errors == {"Unavailable": 1}
        return "qwen.team" in told.detail

    async with asyncio.timeout(5):
        await until(is_named)


async def test_a_name_that_comes_to_be_is_served(stage: TrafficStage, client: GoClient) -> None:
    assert (await client.calls(1)).errors == {"Unavailable": 1}
    await stage.show(alike(await stage.pod("a")))

    async def is_served() -> bool:
        return (await client.calls(1)).answers == {"a": 1}

    await until(is_served)


async def test_without_a_pod_the_client_is_told_so(stage: TrafficStage, client: GoClient) -> None:
    """But not, as in Python, whose pod is missing."""
    await stage.show(alike())
    assert (await client.calls(1)).errors == {"Unavailable": 1}


async def test_pods_that_vanish_for_a_moment_are_kept(
    stage: TrafficStage, client: GoClient
) -> None:
    pod = await stage.pod("a")
    await stage.show(alike(pod))
    assert (await client.calls(1)).shares
    await stage.show(alike())
    await stage.board.settled()
    assert (await client.calls(20)).shares == {"a": 20}
    await stage.show(alike(pod))
    await stage.board.settled()
    assert (await client.calls(20)).shares == {"a": 20}


async def test_a_client_goes_on_with_what_it_knows_while_the_control_plane_is_away(
    stage: TrafficStage, client: GoClient
) -> None:
    await stage.show(alike(await stage.pod("a")))
    assert (await client.calls(1)).shares
    await stage.close()
    assert (await client.calls(50)).shares == {"a": 50}


async def test_a_control_plane_that_comes_back_is_heard(
    stage: TrafficStage, client: GoClient
) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one))
    assert (await client.calls(1)).shares
    await stage.close()
    stage.traffic[KEY] = alike(other)
    await stage.open()

    async def has_heard() -> bool:
        return set((await client.calls(2)).shares) == {"other"}

    await until(has_heard)


async def test_calls_of_a_pod_that_is_killed_are_tried_on_another(
    stage: TrafficStage, client: GoClient
) -> None:
    one, other = await stage.pod("one"), await stage.pod("other")
    await stage.show(alike(one, other))
    assert (await client.calls(10)).shares.total() == 10
    await one.stop()
    assert set((await client.calls(20)).shares) == {"other"}
