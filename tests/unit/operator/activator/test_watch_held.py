"""When the leader is told what is held. Time is looptime's."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from llm_client.v1 import control_pb2
from llm_operator.activator.board import Holding
from llm_operator.activator.watch_held import HeldNews, Pace, message
from llm_operator.kube.store import Key

pytestmark = pytest.mark.looptime

KEY = Key("models", "demo")
PACE = Pace(urgent=0.02, shortest=0.5, longest=5.0)


@dataclass
class Leader:
    """A watcher, and the loop times at which it was told something."""

    told: list[tuple[float, int]] = field(default_factory=list)

    async def watch(self, news: HeldNews) -> None:
        stream: AsyncIterator[Any] = news.WatchHeld(control_pb2.WatchHeldRequest(), None)
        async for answer in stream:
            calls = answer.held[0].calls if answer.held else 0
            self.told.append((round(asyncio.get_running_loop().time(), 3), calls))

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.told]


class Place:
    """What is held, one leader, and the news of it."""

    def __init__(self) -> None:
        self.calls = 0
        self.news = HeldNews(self._holdings, PACE)
        self.leader = Leader()
        self.watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The leader watches from now on."""
        self.watching = asyncio.create_task(self.leader.watch(self.news))

    def _holdings(self) -> list[Holding]:
        return [Holding(KEY, self.calls, 10, 0, self.calls)]

    def hold(self, calls: int) -> None:
        is_first = not self.calls
        self.calls = calls
        self.news.changed(is_first)


@pytest.fixture
def place() -> Place:
    return Place()


async def test_whoever_begins_to_watch_is_told_at_once(place: Place) -> None:
    place.begin()
    await asyncio.sleep(0.001)
    assert place.leader.told == [(0, 0)]


async def test_who_hears_nothing_new_is_told_so_every_five_seconds(place: Place) -> None:
    place.begin()
    await asyncio.sleep(11)
    assert place.leader.times == [0, 5, 10]


async def test_a_first_held_call_is_told_at_once(place: Place) -> None:
    place.begin()
    await asyncio.sleep(3)
    place.hold(1)
    await asyncio.sleep(0.001)
    assert place.leader.told[-1] == (3, 1)


async def test_a_first_held_call_is_told_at_once_right_after_other_news(place: Place) -> None:
    place.begin()
    await asyncio.sleep(0.1)
    place.hold(1)
    await asyncio.sleep(0.001)
    assert place.leader.told[-1] == (0.1, 1)


async def test_more_held_calls_are_told_twice_a_second_at_most(place: Place) -> None:
    place.begin()
    await asyncio.sleep(3)
    for number in range(1, 101):
        place.hold(number)
        await asyncio.sleep(0.02)
    assert place.leader.times == [0, 3, 3.5, 4, 4.5, 5]


async def test_a_change_while_the_leader_is_told_is_not_lost(place: Place) -> None:
    place.begin()
    await asyncio.sleep(3)
    place.hold(1)
    place.hold(2)
    place.hold(0)
    await asyncio.sleep(1)
    assert place.leader.told[-1][1] == 0


async def test_who_calls_and_hangs_up_all_the_time_cannot_flood_the_leader(place: Place) -> None:
    place.begin()
    await asyncio.sleep(3)
    for _ in range(1000):
        place.hold(1)
        place.hold(0)
        await asyncio.sleep(0.001)
    assert len(place.leader.times) <= 2 + 1 / PACE.urgent


async def test_every_watcher_is_told(place: Place) -> None:
    place.begin()
    other = Leader()
    watching = asyncio.create_task(other.watch(place.news))
    await asyncio.sleep(1)
    place.hold(1)
    await asyncio.sleep(0.001)
    assert [each.told[-1] for each in (other, place.leader)] == [(1, 1), (1, 1)]
    watching.cancel()
    await asyncio.wait({watching})


async def test_a_watcher_that_is_gone_is_forgotten(place: Place) -> None:
    place.begin()
    watching = asyncio.create_task(Leader().watch(place.news))
    await asyncio.sleep(1)
    (first, _) = place.news._bells
    watching.cancel()
    await asyncio.wait({watching})
    assert place.news._bells == [first]


def test_the_message_names_every_count() -> None:
    (held,) = message([Holding(KEY, calls=1, bytes=2, forwarding=3, received=4)]).held
    assert (held.namespace, held.name) == ("models", "demo")
    assert (held.calls, held.bytes, held.forwarding, held.calls_received) == (1, 2, 3, 4)
