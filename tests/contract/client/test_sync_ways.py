"""`test_ways.py` for the client without an event loop: what threads could spoil."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager

import grpc
import pytest

from llm_client import ModelNotFoundError, SyncClient, UnavailableError, connect_sync
from llm_client.address import Places
from llm_client.bootstrap import TEXT, bootstrap
from llm_client.sync_lines import SyncModelLines, sync_opener
from llm_client.ways import Pace, Way
from support.control_plane import control_plane
from support.free_port import free_port
from support.named_pod import NamedPod, named_pod
from support.waiting import until

NOWHERE = "ipv4:127.0.0.1:1"
PATIENT = Pace(xds=20, dns=20, again=3600)
BRISK = Pace(xds=20, dns=20, again=0, down=0)
NUMBER = itertools.count()


class World:
    """One model: where it is, and its clients. ways: which channels they have opened."""

    def __init__(self, port: int) -> None:
        self.deployment = f"llama{next(NUMBER)}"
        self.name = f"{self.deployment}.team"
        self.port = port
        self.pods = self.service = NOWHERE
        self.ways: list[Way] = []

    @contextmanager
    def client(self, pace: Pace = PATIENT, timeout: float = 60) -> Iterator[SyncClient]:
        places = Places(f"127.0.0.1:{self.port}", f"xds:///{self.name}", self.pods, self.service)
        make = sync_opener(None)

        def opens(target: str, way: Way) -> grpc.Channel:
            self.ways.append(way)
            return make(target, way)

        with SyncClient(SyncModelLines(self.name, places, opens, pace), timeout) as client:
            yield client


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    found = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TEXT, bootstrap(f"127.0.0.1:{found}"))
        yield found


@pytest.fixture
def world(port: int) -> World:
    return World(port)


Pods = Callable[[str], NamedPod]


@pytest.fixture
def pods() -> Iterator[Pods]:
    """Starts pods, which end with the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(named_pod(name))


def who(client: SyncClient, prompt: str = "hi") -> str:
    return client.generate(prompt).text


def asks(client: SyncClient, name: str) -> Callable[[], bool]:
    """Whether a certain pod answers."""
    return lambda: who(client) == name


def test_the_name_of_an_llmdeployment_is_enough(world: World, pods: Pods) -> None:
    with (
        control_plane({world.name: [pods("pod").address]}, world.port),
        connect_sync(world.deployment, namespace="team") as client,
    ):
        assert who(client) == "pod"
        assert [chunk.text for chunk in client.stream("hi")] == ["pod", "!"]
        assert client.model_info().model == "pod"


def test_without_a_control_plane_pods_are_called(world: World, pods: Pods) -> None:
    world.pods = pods("pod").address
    with world.client() as client:
        assert who(client) == "pod"
    assert world.ways == [Way.PODS]


def test_without_pods_the_service_is_called(world: World, pods: Pods) -> None:
    world.service = pods("activator").address
    with world.client() as client:
        assert who(client) == "activator"


def test_threads_that_begin_together_share_one_look(world: World, pods: Pods) -> None:
    world.pods = pods("pod").address
    with world.client() as client, futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: who(client), range(16))) == {"pod"}
    assert world.ways == [Way.PODS]


def test_a_calls_deadline_holds_while_the_way_is_being_looked_for(world: World, pods: Pods) -> None:
    world.pods = pods("pod").address
    with (
        socket.create_server(("127.0.0.1", world.port)),
        world.client(Pace(xds=1, dns=20)) as client,
    ):
        with pytest.raises(UnavailableError, match=f"No connection to {world.name} in time"):
            client.generate("hi", timeout=0.1)
        assert who(client) == "pod"


def test_new_calls_move_and_a_running_one_is_undisturbed(world: World, pods: Pods) -> None:
    old = pods("by dns")
    world.pods = old.address
    with world.client(BRISK) as client:
        stream = client.stream("hold")
        assert next(stream).text == "by dns"
        with control_plane({world.name: [pods("by xds").address]}, world.port):
            until(asks(client, "by xds"), seconds=60, what="xDS", every=0)
            old.release.set()
            assert [chunk.text for chunk in stream] == ["!"]


def test_calls_move_to_the_service_when_all_pods_go(world: World, pods: Pods) -> None:
    world.service = pods("activator").address
    with ExitStack() as stack:
        with named_pod("pod") as pod:
            world.pods = pod.address
            client = stack.enter_context(world.client(BRISK))
            assert who(client) == "pod"
        until(asks(client, "activator"), seconds=60, what="the Service", every=0)


def test_who_has_got_through_by_xds_stays_there_without_the_control_plane(
    world: World, pods: Pods
) -> None:
    world.pods = pods("by dns").address
    with world.client(BRISK) as client:
        with control_plane({world.name: [pods("by xds").address]}, world.port):
            assert who(client) == "by xds"
        assert {who(client) for _ in range(20)} == {"by xds"}
    assert world.ways == [Way.XDS]


def test_a_name_that_the_control_plane_does_not_know_is_not_found(world: World) -> None:
    with (
        control_plane({world.name: None}, world.port),
        world.client() as client,
        pytest.raises(ModelNotFoundError, match=f"No LLMDeployment {world.name}"),
    ):
        who(client)


def test_a_client_that_is_closed_while_it_looks_ends_at_once(world: World) -> None:
    with (
        socket.create_server(("127.0.0.1", world.port)),
        world.client() as client,
        futures.ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(who, client)
        until(lambda: bool(_looks(world)), seconds=60, what="the look", every=0.001)
        client.close()
        with pytest.raises(ValueError, match="closed"):
            asked.result(10)
    assert not _looks(world)


def _looks(world: World) -> list[str]:
    return [each.name for each in threading.enumerate() if world.name in each.name]
