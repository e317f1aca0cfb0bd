"""The discovery service with clients that are not gRPC's own: old, slow, greedy or broken ones."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.rpc import status_pb2

from llm_operator.kube.store import Key
from llm_operator.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTE
from llm_operator.xds.subscriptions import MOST_NAMES
from llm_operator.xds.traffic import Endpoint, Share, Traffic
from llm_operator.xds.watch_traffic import message
from support.traffic_stage import KEY, SECONDS, TrafficStage, shares, traffic_stage

pytestmark = pytest.mark.timeout(90)
POD = Endpoint("10.0.0.1", 50051)
SPLIT = Traffic(
    key=KEY,
    shares=(Share("aaaa", 90), Share("bbbb", 10)),
    endpoints={"qwen-aaaa": (POD,), "qwen-bbbb": (POD,)},
)


@dataclass(slots=True)
class Client:
    """Speaks the protocol by hand."""

    channel: Any
    call: Any
    last: dict[str, Any] = field(default_factory=dict)

    async def ask(self, type_url: str, *names: str, error: str = "") -> None:
        """Subscribes; answers what was told last, with a refusal where there is an error."""
        known = self.last.get(type_url)
        request = discovery_pb2.DiscoveryRequest(
            type_url=type_url,
            resource_names=names,
            response_nonce=known.nonce if known else "",
            error_detail=status_pb2.Status(message=error) if error else None,
        )
        request.node.user_agent_name = "old client"
        await self.call.write(request)

    async def told(self) -> Any:
        answer = await asyncio.wait_for(self.call.read(), SECONDS)
        self.last[answer.type_url] = answer
        return answer


@pytest.fixture
async def stage() -> AsyncIterator[TrafficStage]:
    async with traffic_stage() as opened:
        yield opened


@pytest.fixture
async def client(stage: TrafficStage) -> AsyncIterator[Client]:
    async for opened in opened_client(stage):
        yield opened


async def opened_client(stage: TrafficStage) -> AsyncIterator[Client]:
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}")
    stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
    call = stub.StreamAggregatedResources()
    yield Client(channel, call)
    call.cancel()
    await channel.close(None)


def names(answer: Any, kind: Any) -> set[str]:
    found = set()
    for body in answer.resources:
        told = kind()
        assert body.Unpack(told)
        found.add(getattr(told, "name", "") or told.cluster_name)
    return found


def traffic(name: str, endpoints: Iterable[Endpoint] = (POD,)) -> Traffic:
    return Traffic(key=Key("team", name), endpoints={name: tuple(endpoints)})


async def test_a_refusal_is_counted_and_told_with_its_reason(
    stage: TrafficStage, client: Client
) -> None:
    await stage.show(SPLIT)
    await client.ask(CLUSTER, "team/qwen/aaaa")
    await client.told()
    await client.ask(CLUSTER, "team/qwen/aaaa", error="unknown load balancing policy")
    async with asyncio.timeout(SECONDS):
        while not stage.counts.refusals[CLUSTER]:  # noqa: ASYNC110  # a counter rings no bell
            await asyncio.sleep(0.01)
    (told,) = message(stage.board, stage.discovery.streams).traffic
    assert (told.name, told.refused, told.refusal) == ("qwen", 1, "unknown load balancing policy")


async def test_one_clients_refusal_disturbs_no_other(stage: TrafficStage, client: Client) -> None:
    pod = await stage.pod("a")
    await stage.show(Traffic(key=KEY, endpoints={"qwen": (pod.endpoint,)}))
    await client.ask(CLUSTER, "team/qwen")
    await client.told()
    await client.ask(CLUSTER, "team/qwen", error="no")
    assert set(await shares(stage.client(), 5)) == {"a"}


async def test_ten_thousand_names_that_do_not_exist_are_borne(
    stage: TrafficStage, client: Client
) -> None:
    await client.ask(LISTENER, *(f"nobody-{number}.team" for number in range(10_000)))
    assert len((await client.told()).resources) == 10_000  # each says that nobody has the name
    pod = await stage.pod("a")
    await stage.show(Traffic(key=KEY, endpoints={"qwen": (pod.endpoint,)}))
    assert set(await shares(stage.client(), 5)) == {"a"}


async def test_clients_that_all_come_at_once_are_all_answered(stage: TrafficStage) -> None:
    """By default gRPC's server turns some away from a thousand on that wait to be taken in."""
    await stage.show(traffic("qwen"))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{stage.port}")
    stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)

    async def ask() -> int:
        call = stub.StreamAggregatedResources()
        await call.write(
            discovery_pb2.DiscoveryRequest(type_url=LISTENER, resource_names=["qwen.team"])
        )
        answer = await call.read()
        call.cancel()
        return len(answer.resources)

    assert await asyncio.gather(*(ask() for _ in range(1500))) == [1] * 1500
    await channel.close(None)


async def test_more_names_than_that_are_refused_with_the_limit(
    stage: TrafficStage, client: Client
) -> None:
    await client.ask(LISTENER, *(str(number) for number in range(MOST_NAMES + 1)))
    assert await client.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(MOST_NAMES) in await client.call.details()
    assert not stage.discovery.streams


async def test_flapping_endpoints_are_gathered_and_the_last_ones_told(
    stage: TrafficStage, client: Client
) -> None:
    await stage.show(traffic("qwen"))
    await client.ask(ENDPOINTS, "team/qwen")
    await client.told()
    before = stage.counts.answers[ENDPOINTS]
    other = Endpoint("10.0.0.2", 50051)
    for number in range(300):
        stage.flap(traffic("qwen", [POD, other] if number % 2 else [POD]))
    await client.told()
    assert stage.counts.answers[ENDPOINTS] == before + 1
    text = str(client.last[ENDPOINTS])
    assert "10.0.0.2" in text


async def test_a_client_that_does_not_read_is_sent_away_and_holds_up_nobody(
    stage: TrafficStage,
) -> None:
    """Its window is full after some hundred kilobytes."""
    stage.discovery.slow_seconds = 0.5
    many = tuple(Endpoint(f"10.0.{n // 250}.{n % 250 + 1}", 50051) for n in range(5000))
    await stage.show(traffic("qwen", many))
    pod = await stage.pod("a")
    await stage.show(Traffic(key=Key("team", "other"), endpoints={"other": (pod.endpoint,)}))
    await stage.board.settled()
    async for greedy in opened_client(stage):
        for _ in range(40):
            await greedy.ask(ENDPOINTS)
            await greedy.ask(ENDPOINTS, "team/qwen")
        assert set(await shares(stage.client(Key("team", "other")), 5)) == {"a"}
        async with asyncio.timeout(SECONDS):
            while len(stage.discovery.streams) > 1:  # noqa: ASYNC110  # the stream's end
                await asyncio.sleep(0.01)


async def test_routes_come_before_the_end_of_what_the_old_one_refers_to(
    stage: TrafficStage, client: Client
) -> None:
    await stage.show(SPLIT)
    await client.ask(ROUTE, "qwen.team")
    await client.told()
    await client.ask(CLUSTER, "team/qwen/aaaa", "team/qwen/bbbb")
    await client.told()
    await stage.show(traffic("qwen"))
    assert (await client.told()).type_url == ROUTE
    await client.ask(CLUSTER, "team/qwen")
    answer = await client.told()
    assert answer.type_url == CLUSTER
    assert len(answer.resources) == 1
