"""What the leader knows of clients, and when it begins to count."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from llm_operator.control.channel import Endpoint
from llm_operator.control.traffic import TrafficReports
from llm_operator.kube.store import Key
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.sharing import Sharing
from llm_operator.reconcile.world import World
from llm_operator.rollout.clients import ClientTraffic
from llm_operator.rollout.drawn import LATE_SECONDS, SETTLE_SECONDS
from support import worlds

KEY = Key("default", "demo")
SHARES = {"aaaa": 90, "bbbb": 10}
FOLLOWS = ClientTraffic(shares=SHARES, streams=1, acknowledged=1)


@dataclass(slots=True)
class Reports:
    told: tuple[ClientTraffic | None, ...] = ()
    followed: list[Endpoint] = field(default_factory=list)

    def follow(self, pods: Iterable[Endpoint]) -> None:
        self.followed = list(pods)

    def of(self, _key: Key) -> tuple[ClientTraffic | None, ...]:
        return self.told


@dataclass(slots=True)
class Place:
    reports: Reports = field(default_factory=Reports)
    now: float = 100.0
    caches: Caches = field(default_factory=Caches)
    sharing: Sharing = field(init=False)

    def __post_init__(self) -> None:
        reports = cast(TrafficReports, self.reports)
        self.sharing = Sharing(caches=self.caches, reports=reports, clock=lambda: self.now)

    def look(self, shares: dict[str, int] | None = None, **received: int) -> World:
        told = [{"revision": r, "percent": p} for r, p in (shares or {}).items()]
        status = {"rollout": {"weights": {"shares": told}}} if told else {}
        world = worlds.world(status=status, settings=worlds.settings(has_xds=True))
        loads = {
            f"uid-{revision}": replace(worlds.load(), received=n)
            for revision, n in received.items()
        }
        pods = tuple(a_pod(revision) for revision in received)
        return self.sharing.observe(replace(world, loads=loads, pods=pods))


def a_pod(revision: str) -> dict[str, Any]:
    labels = {"llm-operator.dev/revision": revision}
    return {"metadata": {"uid": f"uid-{revision}", "name": revision, "labels": labels}}


@pytest.fixture
def place() -> Place:
    return Place()


def test_requests_are_counted_from_when_all_clients_follow(place: Place) -> None:
    place.reports.told = (FOLLOWS,)
    assert place.look(SHARES, aaaa=1000, bbbb=50).clients.counted is None
    place.now += LATE_SECONDS
    assert place.look(SHARES, aaaa=1001, bbbb=55).clients.counted is None  # told late
    place.now += SETTLE_SECONDS - LATE_SECONDS
    assert place.look(SHARES, aaaa=1091, bbbb=65).clients.counted == {"aaaa": 90, "bbbb": 10}


def test_counting_begins_anew_with_other_shares(place: Place) -> None:
    place.reports.told = (FOLLOWS,)
    place.look(SHARES, aaaa=10, bbbb=10)
    place.now += SETTLE_SECONDS
    other = {"aaaa": 50, "bbbb": 50}
    place.reports.told = (ClientTraffic(shares=other),)
    assert place.look(other, aaaa=20, bbbb=20).clients.counted is None


def test_a_client_that_falls_behind_ends_the_count(place: Place) -> None:
    place.reports.told = (FOLLOWS,)
    place.look(SHARES, aaaa=10, bbbb=10)
    place.reports.told = (replace(FOLLOWS, acknowledged=0),)
    place.now += SETTLE_SECONDS
    assert place.look(SHARES, aaaa=20, bbbb=20).clients.counted is None
    place.reports.told = (FOLLOWS,)
    assert place.look(SHARES, aaaa=30, bbbb=30).clients.counted is None


def test_who_shares_calls_is_known_for_when_a_control_plane_pod_comes_or_goes(place: Place) -> None:
    place.look(SHARES)
    assert place.sharing.shared == {KEY}
    place.look()
    assert place.sharing.shared == frozenset()


def test_without_shares_clients_are_known_and_nothing_is_counted(place: Place) -> None:
    place.reports.told = (ClientTraffic(refusal="no"),)
    clients = place.look().clients
    assert (clients.refusal, clients.counted) == ("no", None)


def test_where_no_control_plane_is_installed_nobody_is_asked(place: Place) -> None:
    place.reports.told = (FOLLOWS,)
    world = worlds.world()
    assert place.sharing.observe(world) is world


def test_ready_control_plane_pods_are_listened_to(place: Place) -> None:
    ready = {"type": "Ready", "status": "True"}
    for name, conditions in (("there", [ready]), ("starting", [])):
        place.caches.control_planes.put(
            {
                "metadata": {"name": name, "namespace": "s", "uid": name, "resourceVersion": "1"},
                "spec": {"nodeName": "node1"},
                "status": {"phase": "Running", "podIP": "10.0.0.9", "conditions": conditions},
            }
        )
    place.look()
    assert place.reports.followed == [Endpoint("there", "10.0.0.9")]
