"""Which way calls to an LLMDeployment go, with gRPC's own xDS client and servers on loopback.

gRPC has one xDS bootstrap for the whole process, so all tests have their control plane on one port;
each has a model of its own.
"""

import asyncio
import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import grpc.aio
import pytest

from llm_client import Chunk, Client, ModelNotFoundError, UnavailableError
from llm_client.address import Places
from llm_client.bootstrap import TEXT, bootstrap
from llm_client.lines import ModelLines, opener
from llm_client.ways import Pace, Way
from support.control_plane import Addresses, control_plane
from support.free_port import free_port
from support.named_pod import NamedPod, named_pod

NOWHERE = "ipv4:127.0.0.1:1"
PATIENT = Pace(xds=20, dns=20, again=3600)
"""Looks take as long as they need on a busy machine, and come once."""
BRISK = Pace(xds=20, dns=20, again=0, down=0)
"""Every call looks."""
ALERT = Pace(xds=20, dns=20, again=3600, down=0)
"""Calls look again when they find no connection."""
NUMBER = itertools.count()


class World:
    """One model: where it is, and its clients.

    ways: which channels clients have opened, in their order. opened: there is one.
    """

    def __init__(self, port: int) -> None:
        self.name = f"qwen{next(NUMBER)}.team"
        self.port = port
        self.pods = self.service = NOWHERE
        self.ways: list[Way] = []
        self.opened = asyncio.Event()

    def plane(self, *pods: NamedPod) -> ExitStack:
        """The control plane, which knows these pods; close it."""
        return self.plane_that_says([pod.address for pod in pods])

    def plane_that_says(self, addresses: Addresses) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(control_plane({self.name: addresses}, self.port))
        return stack

    @asynccontextmanager
    async def client(self, pace: Pace = PATIENT, timeout: float = 60) -> AsyncIterator[Client]:  # noqa: ASYNC109
        places = Places(
            control_plane=f"127.0.0.1:{self.port}",
            xds=f"xds:///{self.name}",
            pods=self.pods,
            service=self.service,
        )
        make = opener(None)

        def opens(target: str, way: Way) -> grpc.aio.Channel:
            self.ways.append(way)
            self.opened.set()
            return make(target, way)

        async with Client(ModelLines(self.name, places, opens, pace), timeout) as client:
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


@pytest.fixture
def pods() -> Iterator[Callable[[str], NamedPod]]:
    """Starts pods, which end with the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(named_pod(name))


Pods = Callable[[str], NamedPod]


async def who(client: Client, prompt: str = "hi") -> str:
    return (await client.generate(prompt)).text


async def rest(stream: AsyncIterator[Chunk]) -> list[str]:
    return [chunk.text async for chunk in stream]


async def until(client: Client, name: str) -> None:
    """Calls until a certain pod answers."""
    while await who(client) != name:
        pass


async def for_ever(client: Client) -> None:
    while True:
        await who(client)


async def test_calls_go_where_the_control_plane_says(world: World, pods: Pods) -> None:
    world.pods = pods("other").address
    with world.plane(pods("known")):
        async with world.client() as client:
            assert await who(client) == "known"
            assert [chunk.text async for chunk in client.stream("hi")] == ["known", "!"]
            assert (await client.model_info()).model == "known"


async def test_without_a_control_plane_pods_are_called_in_turn(world: World, pods: Pods) -> None:
    a, b = pods("a"), pods("b")
    world.pods = f"ipv4:{a.address},{b.address}"
    async with world.client() as client:
        assert await who(client) in "ab"
        while not (a.calls and b.calls):  # until gRPC is connected to both
            await who(client)
        assert Counter([await who(client) for _ in range(10)]) == {"a": 5, "b": 5}


async def test_without_pods_the_service_is_called(world: World, pods: Pods) -> None:
    world.service = pods("activator").address
    async with world.client() as client:
        assert await who(client) == "activator"
    assert world.ways == [Way.PODS, Way.SERVICE]


async def test_a_control_plane_that_takes_connections_and_is_mute_is_none(
    world: World, pods: Pods
) -> None:
    world.pods = pods("pod").address
    with socket.create_server(("127.0.0.1", world.port)):
        async with world.client(Pace(xds=0.3, dns=20)) as client:
            assert await who(client) == "pod"
    assert world.ways == [Way.PODS]


async def test_a_control_plane_that_says_nothing_of_the_model_is_none(
    world: World, pods: Pods
) -> None:
    world.pods = pods("pod").address
    with control_plane({}, world.port):
        async with world.client(Pace(xds=0.5, dns=20)) as client:
            assert await who(client) == "pod"


async def test_calls_that_begin_together_share_one_look(world: World, pods: Pods) -> None:
    world.pods = pods("pod").address
    async with world.client() as client:
        assert set(await asyncio.gather(*(who(client) for _ in range(20)))) == {"pod"}
    assert world.ways == [Way.PODS]


async def test_a_calls_deadline_holds_while_the_way_is_being_looked_for(
    world: World, pods: Pods
) -> None:
    world.pods = pods("pod").address
    with socket.create_server(("127.0.0.1", world.port)):
        async with world.client(Pace(xds=1, dns=20)) as client:
            with pytest.raises(UnavailableError, match=f"No connection to {world.name} in time"):
                await client.generate("hi", timeout=0.1)
            assert await who(client) == "pod"


async def test_a_call_that_gives_up_leaves_the_look_to_the_others(world: World, pods: Pods) -> None:
    world.pods = pods("pod").address
    with socket.create_server(("127.0.0.1", world.port)):
        async with world.client(Pace(xds=0.5, dns=20)) as client:
            first = asyncio.create_task(who(client))
            second = asyncio.create_task(who(client))
            await asyncio.sleep(0)
            first.cancel()
            assert await second == "pod"


async def test_new_calls_move_to_a_control_plane_that_came_back(world: World, pods: Pods) -> None:
    world.pods = pods("by dns").address
    async with world.client(BRISK) as client:
        assert await who(client) == "by dns"
        with world.plane(pods("by xds")):
            await asyncio.wait_for(until(client, "by xds"), 60)


async def test_a_running_call_is_undisturbed_when_others_move(world: World, pods: Pods) -> None:
    old = pods("by dns")
    world.pods = old.address
    async with world.client(BRISK) as client:
        stream = client.stream("hold")
        assert (await anext(stream)).text == "by dns"
        with world.plane(pods("by xds")):
            await asyncio.wait_for(until(client, "by xds"), 60)
            old.release.set()
            assert [chunk.text async for chunk in stream] == ["!"]


async def test_a_line_that_was_left_is_closed_with_its_last_call(world: World, pods: Pods) -> None:
    old = pods("by dns")
    world.pods = old.address
    async with world.client(BRISK) as client:
        stream = client.stream("hold")
        await anext(stream)
        with world.plane(pods("by xds")):
            await asyncio.wait_for(until(client, "by xds"), 60)
            lines = client._lines
            assert isinstance(lines, ModelLines)
            assert list(lines._lines) == [Way.PODS, Way.XDS]
            await stream.aclose()
            assert list(lines._lines) == [Way.XDS]


async def test_calls_move_to_the_service_when_all_pods_go(world: World, pods: Pods) -> None:
    world.service = pods("activator").address
    async with AsyncExitStack() as stack:
        with named_pod("pod") as pod:
            world.pods = pod.address
            client = await stack.enter_async_context(world.client(ALERT))
            assert await who(client) == "pod"
        assert await who(client) == "activator"


async def test_calls_move_to_pods_when_there_are_some(world: World, pods: Pods) -> None:
    world.service = pods("activator").address
    port = free_port()
    world.pods = f"127.0.0.1:{port}"
    async with world.client(BRISK) as client:
        assert await who(client) == "activator"
        with named_pod("pod", port):
            await asyncio.wait_for(until(client, "pod"), 60)


async def test_who_has_got_through_by_xds_stays_there_without_the_control_plane(
    world: World, pods: Pods
) -> None:
    world.pods = pods("by dns").address
    async with world.client(BRISK) as client:
        with world.plane(pods("by xds")):
            assert await who(client) == "by xds"
        assert {await who(client) for _ in range(20)} == {"by xds"}
    assert world.ways == [Way.XDS]


async def test_a_new_client_falls_back_while_an_old_one_stays(world: World, pods: Pods) -> None:
    world.pods = pods("by dns").address
    async with world.client() as old, world.client() as new:
        with world.plane(pods("by xds")):
            assert await who(old) == "by xds"
        assert await who(new) == "by dns"
        assert await who(old) == "by xds"


async def test_a_name_that_the_control_plane_does_not_know_is_not_found(world: World) -> None:
    with world.plane_that_says(None):
        async with world.client() as client:
            with pytest.raises(ModelNotFoundError, match=f"No LLMDeployment {world.name}"):
                await who(client)


async def test_a_name_that_the_control_plane_knows_no_more_is_not_found(
    world: World, pods: Pods
) -> None:
    pod = pods("pod")
    with control_plane({world.name: [pod.address]}, world.port) as plane:
        async with world.client() as client:
            assert await who(client) == "pod"
            plane.publish({})
            with pytest.raises(ModelNotFoundError, match=f"No LLMDeployment {world.name}"):
                await asyncio.wait_for(for_ever(client), 60)


async def test_a_call_waits_for_a_pod_that_starts(world: World) -> None:
    port = free_port()
    with world.plane_that_says([f"127.0.0.1:{port}"]):
        async with world.client(ALERT) as client:
            waiting = asyncio.create_task(who(client))
            await world.opened.wait()
            with named_pod("late", port):
                assert await waiting == "late"


async def test_a_call_that_found_nobody_says_whom_it_looked_for_and_why(world: World) -> None:
    async with world.client(timeout=3) as client:
        with pytest.raises(UnavailableError, match="Connection refused") as caught:
            await who(client)
    assert f"No connection to {world.name} in time" in caught.value.message


async def test_a_pod_that_refuses_is_asked_a_bounded_number_of_times(
    world: World, pods: Pods
) -> None:
    pod = pods("pod")
    with world.plane(pod):
        async with world.client() as client:
            with pytest.raises(UnavailableError, match="going away"):
                await who(client, "refuse")
    assert pod.calls["Generate"] == 4  # twice by the route's retry, each of two tries


async def test_prompts_that_begin_alike_carry_one_key(world: World, pods: Pods) -> None:
    pod = pods("pod")
    world.pods = pod.address
    beginning = "You are a helpful assistant. " * 10
    async with world.client() as client:
        await who(client, beginning + "One?")
        async for _ in client.stream(beginning + "Another?"):
            pass
        await who(client, "Something else")
    one, another, else_ = pod.prefixes
    assert one == another != else_


async def test_prompts_that_begin_alike_go_to_one_pod(world: World, pods: Pods) -> None:
    with world.plane(pods("a"), pods("b"), pods("c")):
        async with world.client() as client:
            assert len({await who(client, "Once upon a time") for _ in range(20)}) == 1
            assert len({await who(client, f"{n} times") for n in range(60)}) == 3


async def test_closing_ends_calls_on_every_line(world: World, pods: Pods) -> None:
    world.pods = pods("by dns").address
    async with world.client(BRISK) as client:
        old = client.stream("hold")
        await anext(old)
        with world.plane(pods("by xds")):
            await asyncio.wait_for(until(client, "by xds"), 60)
            new = client.stream("hold")
            await anext(new)
            running = [asyncio.create_task(rest(stream)) for stream in (old, new)]
            await asyncio.sleep(0)
            await client.close()
            ended = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 60)
    assert all(isinstance(each, BaseException) for each in ended)


async def test_a_closed_client_says_so(world: World) -> None:
    async with world.client() as client:
        pass
    with pytest.raises(ValueError, match="closed"):
        await who(client)
