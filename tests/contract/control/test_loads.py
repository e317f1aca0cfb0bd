"""The leader hears what pods say, over real gRPC on loopback."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest

from llm_client.v1 import control_pb2 as pb
from llm_client.v1 import control_pb2_grpc
from llm_operator.autoscale.signals import FIRST_WORD_SECONDS, PodLoad, Silence
from llm_operator.control.channel import Endpoint
from llm_operator.control.drain import DrainClient
from llm_operator.control.loads import Held, Loads
from llm_operator.control.streams import NEW_FAILURES, Pauses, Streams
from llm_operator.kube.store import Key

KEY = Key("default", "demo")
POD = Endpoint("pod-1", "127.0.0.1")


def a_load(running: int = 1, **more: Any) -> pb.GetLoadResponse:
    return pb.GetLoadResponse(
        running_requests=running,
        slots=4,
        capacity_tokens=1024,
        state=pb.LIFECYCLE_STATE_SERVING,
        **more,
    )


@dataclass
class Pod(control_pb2_grpc.ControlServicer):
    """Says what it is told to say, on every stream that is opened."""

    script: Callable[[int], list[pb.GetLoadResponse | None]]
    """Messages of the n-th stream; None holds it open."""
    breaks: bool = False
    """Whether streams end with an error."""
    streams: int = 0
    tokens: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def WatchLoad(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        self.tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        self.streams += 1
        for message in self.script(self.streams):
            if message is None:
                await asyncio.Event().wait()
            yield message
        if self.breaks:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the process ends")

    async def GetLoad(self, request: Any, context: Any) -> pb.GetLoadResponse:  # noqa: N802, ARG002
        return a_load()

    async def Drain(self, request: pb.DrainRequest, context: Any) -> pb.DrainResponse:  # noqa: N802, ARG002
        self.asked.append(f"drain {request.timeout_seconds}")
        return pb.DrainResponse(state=pb.LIFECYCLE_STATE_LAME_DUCK)

    async def Undrain(self, request: Any, context: Any) -> pb.UndrainResponse:  # noqa: N802, ARG002
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the process ends")
        return pb.UndrainResponse()


@asynccontextmanager
async def served(pod: control_pb2_grpc.ControlServicer) -> AsyncIterator[int]:
    server = grpc.aio.server()
    control_pb2_grpc.add_ControlServicer_to_server(pod, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


class News:
    """What `changed` was told, one after the other."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[PodLoad | None, PodLoad | None]] = asyncio.Queue()

    def __call__(self, _key: Key, before: PodLoad | None, after: PodLoad | None) -> None:
        self.queue.put_nowait((before, after))

    async def running(self) -> int | None:
        async with asyncio.timeout(20):
            _, after = await self.queue.get()
        return after.running if after is not None else None


async def test_a_stream_that_ends_in_good_order_leaves_what_was_said() -> None:
    news = News()
    async with served(Pod(lambda n: [a_load(1)] if n == 1 else [a_load(4), None])) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        assert [await news.running() for _ in range(2)] == [1, 4]
        await loads.aclose()


async def test_a_stream_that_ends_without_a_word_is_silence() -> None:
    """However good its order: a pod that says nothing must not keep what it once said."""
    news = News()
    async with served(Pod(lambda n: [a_load(1)] if n == 1 else [])) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        assert [await news.running() for _ in range(2)] == [1, None]
        assert "pod-1" in loads.silences(KEY)
        await loads.aclose()


async def test_what_a_pod_says_is_known_until_its_stream_breaks() -> None:
    news = News()
    pod = Pod(lambda n: [a_load(n)] if n == 1 else [a_load(4), None], breaks=True)
    async with served(pod) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        assert await news.running() == 1
        assert await news.running() is None
        assert await news.running() == 4
        assert loads.of(KEY)["pod-1"].running == 4
        await loads.aclose()
    assert loads.of(KEY) == {}


async def test_a_pod_is_silent_from_when_it_is_followed_until_it_speaks_and_again_after_that() -> (
    None
):
    news, now = News(), 100.0
    script: list[pb.GetLoadResponse | None] = [a_load(1), a_load(5), None]  # the second one lies
    async with served(Pod(lambda _: script)) as port:
        loads = Loads(lambda: "secret", news, port, clock=lambda: now)
        loads.follow(KEY, [POD])
        now += 3
        assert loads.silences(KEY) == {"pod-1": Silence(3.0, is_first=True)}
        assert await news.running() == 1
        assert await news.running() is None
        now += 2
        assert loads.silences(KEY) == {"pod-1": Silence(2.0, is_first=False)}
        loads.follow(KEY, [])
        assert loads.silences(KEY) == {}
        await loads.aclose()


async def test_a_message_is_as_old_as_the_fastest_one_tells() -> None:
    news = News()
    times = [(100.0, 5.0), (101.5, 6.0), (102.0, 7.0)]  # the second one took half a second longer
    script = [a_load(n, at_seconds=at) for n, (_, at) in enumerate(times)]
    clock = iter([99.0, *(ours for ours, _ in times)])
    now = 0.0

    def ticking() -> float:
        return now or next(clock)

    async with served(Pod(lambda _: [*script, None])) as port:
        loads = Loads(lambda: "secret", news, port, clock=ticking)
        loads.follow(KEY, [POD])
        for expected in range(len(times)):
            assert await news.running() == expected
        now = 102.25
        assert loads.ages(KEY)["pod-1"] == pytest.approx(0.25, abs=0.01)
        await loads.aclose()


async def test_a_process_that_starts_again_has_another_clock() -> None:
    news, now = News(), 100.0
    pod = Pod(lambda n: [a_load(n, at_seconds=[50.0, 2.0][n - 1]), None][: 3 - n], breaks=True)
    async with served(pod) as port:
        loads = Loads(lambda: "secret", news, port, clock=lambda: now)
        loads.follow(KEY, [POD])
        assert [await news.running() for _ in range(3)] == [1, None, 2]
        now += 1
        assert loads.ages(KEY) == {"pod-1": 1.0}
        await loads.aclose()


async def test_a_stream_that_has_told_something_is_opened_again_soon_after_it_breaks() -> None:
    heard: asyncio.Queue[int | None] = asyncio.Queue()
    opened = itertools.count(1)

    async def stream(_channel: Any, _metadata: Any) -> AsyncIterator[int]:
        number = next(opened)
        if number > 3:
            yield number
        raise TimeoutError

    pauses = Pauses(first=0.01, longest=60.0, longest_at_first=0.04)
    streams = Streams(stream, lambda _g, _e, m: heard.put_nowait(m), lambda: "t", pauses=pauses)
    streams.follow(KEY, [POD])
    async with asyncio.timeout(20):
        told = [await heard.get() for _ in range(9)]
    assert told == [None, None, None, 4, None, 5, None, 6, None]
    await streams.aclose()


def test_a_pod_that_was_never_heard_is_tried_often_and_not_for_ever() -> None:
    pauses = Pauses()
    new = [pauses.after(n, is_new=True) for n in (1, 2, 3, 4, NEW_FAILURES, NEW_FAILURES + 1)]
    assert new == [0.5, 1.0, 2.0, 2.0, 2.0, 5.0]
    assert [pauses.after(n) for n in (1, 4, 6, 1000)] == [0.5, 4.0, 5.0, 5.0]
    assert pauses.longest < FIRST_WORD_SECONDS - 1  # a Ready condition tells whole seconds


async def test_a_pod_that_is_not_followed_any_more_is_forgotten() -> None:
    news = News()
    async with served(Pod(lambda _: [a_load(3), None])) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        assert await news.running() == 3
        loads.follow(KEY, [])
        assert loads.of(KEY) == {}
        await loads.aclose()


async def test_a_pod_that_says_what_cannot_be_true_has_no_load() -> None:
    news = News()
    lies = [
        a_load(5),  # more than it has slots
        a_load(1, step_seconds=float("nan")),
        a_load(1, tokens_per_second=-1.0),
        a_load(1, tokens_held=1 << 60),
        a_load(1, at_seconds=float("inf")),
        a_load(1, at_seconds=1.0, request_seconds=1e30),
        a_load(1, at_seconds=1.0, request_seconds=float("nan")),
    ]
    async with served(Pod(lambda _: [*lies, None])) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        assert [await news.running() for _ in lies] == [None] * len(lies)
        await loads.aclose()


async def test_a_pod_that_hangs_has_no_load_after_a_while_and_is_asked_again() -> None:
    news = News()
    pod = Pod(lambda n: [a_load(1), None] if n == 1 else [a_load(2), None])
    async with served(pod) as port:
        loads = Loads(lambda: "secret", news, port)
        loads._streams.silent_seconds = 0.3
        loads.follow(KEY, [POD])
        assert await news.running() == 1
        assert await news.running() is None
        assert await news.running() == 2
        await loads.aclose()


async def test_the_caller_says_who_it_is() -> None:
    news, pod = News(), Pod(lambda _: [a_load(), None])
    async with served(pod) as port:
        loads = Loads(lambda: "secret", news, port)
        loads.follow(KEY, [POD])
        await news.running()
        await loads.aclose()
    assert pod.tokens == ["Bearer secret"]


async def test_a_drain_names_its_limit_and_a_refusal_is_no_error() -> None:
    pod = Pod(lambda _: [])
    async with served(pod) as port:
        client = DrainClient(lambda: "secret", port)
        assert await client.drain("127.0.0.1", 30)
        assert not await client.undrain("127.0.0.1")
    assert pod.asked == ["drain 30"]
    assert not await DrainClient(lambda: "secret", port, seconds=1.0).drain("127.0.0.1", 30)


class Activator(control_pb2_grpc.ActivationServicer):
    async def WatchHeld(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        held = pb.HeldCalls(namespace="default", name="demo", calls=2, calls_received=5)
        yield pb.WatchHeldResponse(held=[held])
        await asyncio.Event().wait()


class Hanging(Pod):
    """Takes a drain and never answers."""

    async def Drain(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        await asyncio.Event().wait()


async def test_a_pod_that_hangs_on_a_drain_holds_nobody_up() -> None:
    async with served(Hanging(lambda _: [])) as port:
        client = DrainClient(lambda: "secret", port, seconds=0.2)
        async with asyncio.timeout(10):
            assert not await client.drain("127.0.0.1", 30)


async def test_what_activators_hold_is_summed_and_goes_with_them() -> None:
    server, told = grpc.aio.server(), asyncio.Event()
    control_pb2_grpc.add_ActivationServicer_to_server(Activator(), server)
    port = server.add_insecure_port("0.0.0.0:0")
    await server.start()
    heard: list[Key] = []

    def changed(key: Key) -> None:
        heard.append(key)
        if len(heard) == 2:
            told.set()

    held = Held(lambda: "secret", changed, port)
    held.follow([Endpoint("a", "127.0.0.1"), Endpoint("b", "127.0.0.2")])
    async with asyncio.timeout(20):
        await told.wait()
    assert (held.of(KEY).calls, held.of(KEY).received) == (4, 10)
    held.follow([Endpoint("a", "127.0.0.1")])
    assert held.of(KEY).calls == 2
    assert held.of(Key("default", "other")).calls == 0
    await held.aclose()
    await server.stop(None)
