"""The leader hears from a real control plane what a real client has accepted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc.aio
import pytest

from llm_client.v1 import control_pb2_grpc
from llm_operator.control.channel import Endpoint
from llm_operator.control.traffic import TrafficReports
from llm_operator.kube.store import Key
from llm_operator.rollout.clients import ClientTraffic
from llm_operator.xds.traffic import Share, Traffic
from llm_operator.xds.watch_traffic import TrafficNews
from support.traffic_stage import KEY, TrafficStage, shares, traffic_stage

PLANE = Endpoint("plane-1", "127.0.0.1")
NOBODY = Endpoint("plane-2", "127.0.0.2")


@dataclass(slots=True)
class Leader:
    """Listens, and lets a test wait for news."""

    port: int
    heard: "asyncio.Queue[Key]" = field(default_factory=asyncio.Queue)
    reports: TrafficReports = field(init=False)

    def __post_init__(self) -> None:
        self.reports = TrafficReports(lambda: "token", self.heard.put_nowait, port=self.port)

    async def until(self, *expected: ClientTraffic | None) -> None:
        async with asyncio.timeout(15):
            while self.reports.of(KEY) != expected:
                await self.heard.get()


@pytest.fixture
async def stage() -> AsyncIterator[TrafficStage]:
    async with traffic_stage() as opened:
        yield opened


@pytest.fixture
async def leader(stage: TrafficStage) -> AsyncIterator[Leader]:
    news = TrafficNews(stage.board, stage.discovery)
    stage.board.changed = lambda _: news.changed()
    stage.discovery.acknowledged = news.changed
    server = grpc.aio.server()
    control_pb2_grpc.add_TrafficServicer_to_server(news, server)
    leader = Leader(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    yield leader
    await leader.reports.aclose()
    await server.stop(None)


async def shared(stage: TrafficStage) -> None:
    pod = await stage.pod("a")
    await stage.show(
        Traffic(
            key=KEY,
            shares=(Share("aaaa", 90), Share("bbbb", 10)),
            endpoints={"qwen-aaaa": (pod.endpoint,), "qwen-bbbb": (pod.endpoint,)},
        )
    )


async def test_what_clients_have_accepted_is_heard(stage: TrafficStage, leader: Leader) -> None:
    leader.reports.follow([PLANE])
    assert leader.reports.of(KEY) == (None,)
    await shared(stage)
    told = {"aaaa": 90, "bbbb": 10}
    await leader.until(ClientTraffic(shares=told))
    await shares(stage.client(), 1)
    await leader.until(ClientTraffic(shares=told, streams=1, acknowledged=1))


async def test_a_pod_that_is_not_heard_is_told_as_such(stage: TrafficStage, leader: Leader) -> None:
    leader.reports.follow([PLANE, NOBODY])
    await shared(stage)
    await leader.until(ClientTraffic(shares={"aaaa": 90, "bbbb": 10}), None)


async def test_a_pod_that_is_gone_is_forgotten(stage: TrafficStage, leader: Leader) -> None:
    leader.reports.follow([PLANE])
    await shared(stage)
    await leader.until(ClientTraffic(shares={"aaaa": 90, "bbbb": 10}))
    leader.reports.follow([])
    assert leader.reports.of(KEY) == ()
