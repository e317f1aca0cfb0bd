"""The board says what there is, and wakes those whom it concerns."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from llm_operator.kube.store import Key
from llm_operator.xds.board import Board
from llm_operator.xds.patience import HOLD_SECONDS, PREPARE_SECONDS
from llm_operator.xds.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTE, Name
from llm_operator.xds.traffic import Endpoint, Share, Traffic

KEY = Key("team", "qwen")
POD = Endpoint("10.0.0.1", 50051)
ALIKE = Traffic(key=KEY, endpoints={"qwen": (POD,)})
EMPTY = Traffic(key=KEY, endpoints={"qwen": ()})
SPLIT = Traffic(
    key=KEY,
    shares=(Share("aaaa", 90), Share("bbbb", 10)),
    endpoints={"qwen-aaaa": (POD,), "qwen-bbbb": (POD,)},
)
pytestmark = pytest.mark.looptime


@dataclass(slots=True)
class Place:
    there: dict[Key, Traffic] = field(default_factory=dict)
    board: Board = field(init=False)
    listener: asyncio.Event = field(default_factory=asyncio.Event)

    async def show(self, traffic: Traffic | None) -> None:
        if traffic is None:
            del self.there[KEY]
        else:
            self.there[KEY] = traffic
        self.board.touched(KEY)
        await self.board.settled()

    async def show_and_wait(self, traffic: Traffic) -> None:
        """Until clients are told of other clusters than before."""
        await self.show(traffic)
        await asyncio.sleep(PREPARE_SECONDS + 0.1)

    def listen(self, *names: Name) -> None:
        self.board.listen(self.listener, (), names)

    def has(self, type_url: str) -> set[str]:
        return {name.name for name in self.board.known if name.type_url == type_url}

    def was_woken(self) -> bool:
        is_set = self.listener.is_set()
        self.listener.clear()
        return is_set


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    opened = Place()
    opened.board = Board(opened.there.get, asyncio.get_running_loop().time)
    running = asyncio.create_task(opened.board.run())
    yield opened
    running.cancel()
    await asyncio.wait({running})


async def test_what_is_touched_is_on_the_board(place: Place) -> None:
    await place.show(ALIKE)
    assert place.has(LISTENER) == {"qwen.team"}
    assert place.has(ENDPOINTS) == {"team/qwen"}


async def test_an_object_that_is_gone_leaves_nothing(place: Place) -> None:
    await place.show(ALIKE)
    await place.show(None)
    assert not place.board.known
    assert len(place.board) == 0


async def test_who_listens_to_a_name_is_woken_by_its_change_alone(place: Place) -> None:
    await place.show(SPLIT)
    place.listen(Name(ENDPOINTS, "team/qwen/aaaa"))
    await place.show(Traffic(key=KEY, shares=SPLIT.shares, endpoints=SPLIT.endpoints))
    assert not place.was_woken()
    more = {**SPLIT.endpoints, "qwen-aaaa": (POD, Endpoint("10.0.0.2", 50051))}
    await place.show(Traffic(key=KEY, shares=SPLIT.shares, endpoints=more))
    assert place.was_woken()


async def test_who_waits_for_a_name_that_is_not_there_is_woken_when_it_comes(place: Place) -> None:
    place.listen(Name(LISTENER, "qwen.team"))
    await place.show(ALIKE)
    assert place.was_woken()


async def test_who_listens_no_more_is_not_woken(place: Place) -> None:
    name = Name(LISTENER, "qwen.team")
    place.listen(name)
    place.board.listen(place.listener, (name,), ())
    await place.show(ALIKE)
    assert not place.was_woken()


async def test_clusters_outlive_the_route_until_no_client_asks_for_them(place: Place) -> None:
    await place.show(SPLIT)
    old = Name(CLUSTER, "team/qwen/aaaa")
    place.listen(old, Name(ROUTE, "qwen.team"))
    await place.show_and_wait(ALIKE)
    assert place.was_woken()
    assert place.has(CLUSTER) == {"team/qwen", "team/qwen/aaaa"}
    place.board.listen(place.listener, (old,), ())
    assert place.has(CLUSTER) == {"team/qwen"}


async def test_a_cluster_that_comes_back_stays(place: Place) -> None:
    await place.show(SPLIT)
    old = Name(CLUSTER, "team/qwen/aaaa")
    place.listen(old)
    await place.show_and_wait(ALIKE)
    await place.show_and_wait(SPLIT)
    place.board.listen(place.listener, (old,), ())
    assert "team/qwen/aaaa" in place.has(CLUSTER)


async def test_an_empty_set_is_told_after_a_moment_without_more_news(place: Place) -> None:
    await place.show(ALIKE)
    name = Name(ENDPOINTS, "team/qwen")
    place.listen(name)
    await place.show(EMPTY)
    assert not place.was_woken()
    await asyncio.sleep(HOLD_SECONDS + 0.1)
    assert place.was_woken()


async def test_clients_hear_of_clusters_before_calls_go_there(place: Place) -> None:
    await place.show(ALIKE)
    place.listen(Name(ROUTE, "qwen.team"))
    await place.show(SPLIT)
    assert place.has(CLUSTER) == {"team/qwen", "team/qwen/aaaa", "team/qwen/bbbb"}
    assert place.board.shares(KEY) == ()
    assert place.was_woken()
    await asyncio.sleep(PREPARE_SECONDS + 0.1)
    assert place.board.shares(KEY) == SPLIT.shares
    assert place.has(CLUSTER) == {"team/qwen/aaaa", "team/qwen/bbbb"}
    assert place.was_woken()


async def test_shares_are_those_of_the_object(place: Place) -> None:
    await place.show(SPLIT)
    assert place.board.shares(KEY) == SPLIT.shares
    assert list(place.board.with_shares()) == [KEY]
    await place.show_and_wait(ALIKE)
    assert place.board.shares(KEY) == ()
    assert list(place.board.with_shares()) == []
