"""The way of a call through the activator, with pods and clients that are scripts. Time is
looptime's: whatever pods do, each call ends, in time, and everything it took is given back."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import looptime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_operator.activator import refusals
from llm_operator.activator.metadata import RETRY_HINT
from llm_operator.activator.pods import Pod, Pods
from llm_operator.activator.room import CALL_BYTES, Memory
from llm_operator.activator.served import Served
from llm_operator.activator.target import Limits, Target
from llm_operator.activator.verdict import Status
from llm_operator.rpc import EOF, Context

pytestmark = pytest.mark.looptime

OK = grpc.StatusCode.OK
FULL = Status(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", ((RETRY_HINT, "700"),))
BROKEN = Status(grpc.StatusCode.UNAVAILABLE, "broken")
FINE = Status(OK, "fine")
BAD = Status(grpc.StatusCode.INVALID_ARGUMENT, "bad")


@dataclass
class Call:
    """A call to a pod, which takes a second, answers where its status is OK, and ends."""

    status: Status
    seconds: float
    answers: list[bytes] = field(default_factory=lambda: [b"answer"])
    got: list[bytes] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def initial_metadata(self) -> tuple[()]:
        return ()

    async def write(self, message: bytes) -> None:
        self.got.append(message)

    async def done_writing(self) -> None:
        """Noted by nobody."""

    async def read(self) -> Any:
        try:
            async with asyncio.timeout(self.seconds):
                await self.stopped.wait()
            raise asyncio.CancelledError  # as grpc.aio does where the call was cancelled here
        except TimeoutError:
            return self.answers.pop() if self.status.code is OK and self.answers else EOF

    def cancel(self) -> None:
        self.stopped.set()

    async def code(self) -> grpc.StatusCode:
        return self.status.code

    async def details(self) -> str:
        return self.status.details

    async def trailing_metadata(self) -> Any:
        return self.status.trailers


@dataclass(eq=False)
class ScriptedPod:
    """Ends its calls as the script says; then all are fine."""

    script: list[Status]
    seconds: float = 1.0
    calls: int = 0
    made: list[Call] = field(default_factory=list)

    def open(self, _method: str) -> Any:
        def call(**_arguments: Any) -> Call:
            made = Call(self.script.pop(0) if self.script else FINE, self.seconds)
            self.made.append(made)
            return made

        return call


@dataclass
class ScriptedPods:
    """Those that are ready."""

    ready: list[ScriptedPod] = field(default_factory=list)

    def follow(self, _addresses: Sequence[str]) -> None:
        """The test says which are ready."""

    def pick(self, avoided: Collection[Pod]) -> ScriptedPod | None:
        able = [pod for pod in self.ready if cast(Pod, pod) not in avoided]
        return min(able, key=lambda pod: pod.calls, default=None)

    def done(self, pod: ScriptedPod) -> None:
        pod.calls -= 1


@dataclass
class Client:
    """One call of a client: a context as grpc.aio's, and what came of it."""

    request: list[bytes] = field(default_factory=lambda: [b"request"])
    answers: list[bytes] = field(default_factory=list)
    code: grpc.StatusCode = OK
    details: str = ""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        """No deadline."""

    async def read(self) -> Any:
        await asyncio.sleep(0)
        return self.request.pop(0) if self.request else EOF

    async def write(self, message: bytes) -> None:
        self.answers.append(message)

    def set_trailing_metadata(self, _trailers: Any) -> None:
        """Not looked at."""

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details


class Place:
    """An LLMDeployment that is served, its pods, and its clients."""

    def __init__(self, limits: Limits = Limits(seconds=30)) -> None:  # noqa: B008  # frozen
        self.results: Counter[str] = Counter()
        self.memory = Memory()
        self.pods = ScriptedPods()
        self.served = Served(self, self.memory, lambda _is_urgent: None)
        self.served.pods = cast(Pods, self.pods)
        self.served.follow(Target(limits=limits))

    def finished(self, result: str) -> None:
        self.results[result] += 1

    def was_held(self, seconds: float) -> None:
        assert seconds >= 0

    def call(self, client: Client) -> "asyncio.Task[None]":
        return asyncio.create_task(self.served.handle("/a.B/C", cast(Context, client)))

    def ready(self, *pods: ScriptedPod) -> None:
        self.pods.ready = list(pods)
        self.served._line.move()

    @property
    def is_clean(self) -> bool:
        room = self.served.room
        return (self.memory.used, room.calls, room.bytes, self.served.forwarding) == (0, 0, 0, 0)


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_call_that_a_pod_can_have_is_not_held(place: Place) -> None:
    client, pod = Client(), ScriptedPod([])
    place.ready(pod)
    await place.call(client)
    assert (client.answers, client.code, client.details) == ([b"answer"], OK, "fine")
    assert pod.made[0].got == [b"request"]
    assert place.is_clean


async def test_held_calls_are_handed_over_in_the_order_in_which_they_came(place: Place) -> None:
    pod, names = ScriptedPod([]), [str(number).encode() for number in range(30)]
    calls = []
    for name in names:
        calls.append(place.call(Client(request=[name])))
        await asyncio.sleep(0.01)
    place.ready(pod)
    await asyncio.gather(*calls)
    assert [call.got for call in pod.made] == [[name] for name in names]


async def test_a_held_call_ends_when_the_time_of_holding_is_over(place: Place) -> None:
    client = Client()
    await place.call(client)
    assert asyncio.get_running_loop().time() == pytest.approx(30)
    assert client.details == refusals.waited(30).details
    assert place.is_clean


async def test_pods_that_are_full_for_ever_end_a_call_with_their_own_words(place: Place) -> None:
    client, pods = Client(), [ScriptedPod([FULL] * 999, seconds) for seconds in (0.0, 1.0)]
    place.ready(*pods)
    await place.call(client)
    assert 30 <= asyncio.get_running_loop().time() < 32
    assert (client.code, client.details) == (FULL.code, "full")
    assert place.is_clean


async def test_what_a_client_gives_up_is_given_up_at_the_pod(place: Place) -> None:
    pod = ScriptedPod([], seconds=99)
    place.ready(pod)
    call = place.call(Client())
    await asyncio.sleep(1)

    call.cancel()
    await asyncio.wait({call})

    assert call.cancelled()
    assert pod.made[0].stopped.is_set()
    assert place.results == {"cancelled": 1}
    assert place.is_clean


async def test_a_request_that_grows_beyond_the_memory_ends_its_call_at_the_pod_too(
    place: Place,
) -> None:
    client, pod = Client(request=[b"x" * 10, b"x" * 10, b"x" * 999]), ScriptedPod([], seconds=99)
    place.memory.limit = CALL_BYTES + 100
    place.ready(pod)
    await place.call(client)
    assert client.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert pod.made[0].stopped.is_set()
    assert place.results == {"refused": 1}
    assert place.is_clean


async def test_a_call_for_which_there_is_no_memory_at_all_is_refused_at_once(
    place: Place,
) -> None:
    client = Client()
    place.memory.limit = CALL_BYTES - 1
    place.ready(ScriptedPod([]))
    await place.call(client)
    assert client.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not client.answers


async def test_a_call_to_a_pod_whose_connection_is_closed_here_may_be_tried_again(
    place: Place,
) -> None:
    client, pod = Client(), ScriptedPod([], seconds=99)
    place.ready(pod)
    call = place.call(client)
    await asyncio.sleep(1)
    pod.made[0].cancel()
    await call
    assert client.code is grpc.StatusCode.UNAVAILABLE
    assert client.details == refusals.BROKEN_OFF.details


async def test_what_is_held_is_sent_away_and_what_comes_then_too(place: Place) -> None:
    held, late = Client(), Client()
    call = place.call(held)
    await asyncio.sleep(1)
    place.served.hold_no_more(refusals.LEAVING)
    await call
    await place.call(late)
    assert held.details == late.details == refusals.LEAVING.details
    assert place.results == {"ended": 2}


outcomes = st.lists(st.sampled_from([FULL, BROKEN, FINE, BAD]), max_size=12)
scripts = st.lists(st.tuples(outcomes, st.floats(0, 5)), max_size=3)
comings = st.lists(st.floats(0, 40), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(scripts, st.floats(0, 40), comings, st.lists(st.floats(0, 40), max_size=3))
def test_whatever_pods_do_each_call_ends_in_time_and_leaves_nothing(
    pods: list[tuple[list[Status], float]],
    ready_at: float,
    comings: list[float],
    cancels: list[float],
) -> None:
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(_story(pods, ready_at, comings, cancels))


async def _story(
    scripts: list[tuple[list[Status], float]],
    ready_at: float,
    comings: list[float],
    cancels: list[float],
) -> None:
    place, loop = Place(Limits(seconds=10, calls=4)), asyncio.get_running_loop()
    pods = [ScriptedPod(script, seconds) for script, seconds in scripts]
    loop.call_later(ready_at, place.ready, *pods)

    async def come(at: float) -> tuple[Client, float]:
        await asyncio.sleep(at)
        client, began = Client(), loop.time()
        await place.served.handle("/a.B/C", cast(Context, client))
        return client, loop.time() - began

    calls = [asyncio.create_task(come(at)) for at in comings]
    for call, at in zip(calls, cancels, strict=False):
        loop.call_later(at, call.cancel)
    await asyncio.wait(calls)

    for call in calls:
        if not call.cancelled():
            client, seconds = call.result()
            assert seconds <= 10 + 5 * 5 + 5  # held, broken off by slow pods, and answered at last
            assert len(client.answers) == (1 if client.code is OK else 0)
    assert place.is_clean
    assert not place.served._line._waiting
    assert sum(pod.calls for pod in pods) == 0
