"""Leadership: one at a time, noticed when lost, given back when stopped. Time is looptime's."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import NotLeaderError, UnreachableError, answered
from llm_operator.kube.lease import Lease, Terms
from llm_operator.kube.request import Request
from llm_operator.kube.resources import Resource

pytestmark = pytest.mark.looptime


@dataclass
class LeaseServer:
    """Stores one Lease with compare-and-swap, as the API server does; can be down or slow."""

    stored: dict[str, Any] | None = None
    version: int = 0
    is_down: bool = False
    delay: float = 0.0
    holders: list[str] = field(default_factory=list)

    async def get(self, _resource: Resource, _namespace: str, _name: str) -> dict[str, Any] | None:
        await self._answer()
        return copy.deepcopy(self.stored)

    async def send(self, request: Request) -> dict[str, Any]:
        await self._answer()
        body = cast(dict[str, Any], copy.deepcopy(request.body))
        sent = body["metadata"].get("resourceVersion")
        if sent != (str(self.version) if self.stored is not None else None):
            raise answered(409, {"reason": "Conflict"})
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.stored = body
        self.holders.append(body["spec"]["holderIdentity"])
        return copy.deepcopy(body)

    async def _answer(self) -> None:
        if self.is_down:
            raise UnreachableError("connection refused")
        await asyncio.sleep(self.delay)


@dataclass
class SlowLookServer(LeaseServer):
    """Does something else before it answers the next look."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super().get(resource, namespace, name)


def now() -> float:
    return asyncio.get_running_loop().time()


def a_candidate(
    server: LeaseServer, identity: str, clock: Callable[[], float] | None = None
) -> Lease:
    client = cast(KubeClient, server)
    return Lease(client, "n", "op", identity, clock=clock or now, draw=lambda: 0.0)


@dataclass
class Diary:
    """When somebody worked."""

    spans: list[tuple[str, float, float]] = field(default_factory=list)

    def work(self, who: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            started = now()
            try:
                await asyncio.sleep(10_000)
            finally:
                self.spans.append((who, started, now()))

        return work


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_first_candidate_leads_at_once() -> None:
    server, log = LeaseServer(), Diary()
    leading = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(100)
    assert not leading.done()
    await stop(leading)
    assert log.spans == [("a", 0.0, 100.0)]


async def test_a_second_candidate_waits_as_long_as_the_first_renews() -> None:
    server, log = LeaseServer(), Diary()
    tasks = [asyncio.create_task(a_candidate(server, w).lead(log.work(w))) for w in "ab"]
    await asyncio.sleep(600)
    assert set(server.holders) == {"a"}
    for task in tasks:
        await stop(task)


async def test_a_clean_stop_hands_over_within_one_retry() -> None:
    server, log = LeaseServer(), Diary()
    first = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(1)
    second = asyncio.create_task(a_candidate(server, "b").lead(log.work("b")))
    await asyncio.sleep(50)
    await stop(first)
    stopped = now()
    await asyncio.sleep(50)
    await stop(second)
    assert log.spans[1][0] == "b"
    assert log.spans[1][1] - stopped <= Terms().retry


async def test_a_dead_leader_is_followed_within_twenty_seconds() -> None:
    server, log = LeaseServer(), Diary()
    first = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(1)
    second = asyncio.create_task(a_candidate(server, "b").lead(log.work("b")))
    await asyncio.sleep(50)
    server.is_down = True
    await stop(first)  # its release does not get through, as if it had been killed
    server.is_down = False
    died = now()
    await asyncio.sleep(50)
    await stop(second)
    assert log.spans[1][0] == "b"
    assert Terms().duration - Terms().retry <= log.spans[1][1] - died <= 20


async def test_a_leader_that_cannot_renew_stops_before_its_lease_ends() -> None:
    server, log = LeaseServer(), Diary()
    leading = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(50)
    server.is_down = True
    await asyncio.sleep(Terms().duration)
    assert len(log.spans) == 1
    assert log.spans[0][2] - 50 <= Terms().renew + Terms().retry < Terms().duration
    await stop(leading)


async def test_a_server_that_hangs_is_noticed_as_one_that_is_down() -> None:
    server, log = LeaseServer(), Diary()
    leading = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(50)
    server.delay = 1000.0
    await asyncio.sleep(Terms().duration)
    assert len(log.spans) == 1
    assert log.spans[0][2] - 50 <= Terms().renew + Terms().retry
    await stop(leading)


async def test_a_leader_that_lost_leads_again_when_it_can() -> None:
    server, log = LeaseServer(), Diary()
    leading = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    await asyncio.sleep(50)
    server.is_down = True
    await asyncio.sleep(60)
    server.is_down = False
    await asyncio.sleep(50)
    await stop(leading)
    assert [who for who, _, _ in log.spans] == ["a", "a"]


async def test_two_candidates_never_work_at_the_same_time() -> None:
    server, log = LeaseServer(), Diary()
    tasks = [asyncio.create_task(a_candidate(server, w).lead(log.work(w))) for w in "abc"]
    for outage in (3, 12, 16, 40):
        await asyncio.sleep(37)
        server.is_down = True
        await asyncio.sleep(outage)
        server.is_down = False
    for task in tasks:
        await stop(task)
    spans = sorted((start, end) for _, start, end in log.spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


async def test_a_leader_that_slept_through_its_lease_writes_nothing() -> None:
    """SIGSTOP and SIGCONT: the loop stood still, the boot clock did not."""
    server, jump = LeaseServer(), 0.0
    lease = a_candidate(server, "a", clock=lambda: now() + jump)
    leading = asyncio.create_task(lease.lead(Diary().work("a")))
    await asyncio.sleep(50)
    assert lease.fence() > 0
    jump = 30.0
    with pytest.raises(NotLeaderError):
        lease.fence()
    await stop(leading)


async def test_a_write_gets_no_longer_than_the_lease_lasts() -> None:
    server = LeaseServer()
    lease = a_candidate(server, "a")
    leading = asyncio.create_task(lease.lead(Diary().work("a")))
    await asyncio.sleep(3)
    server.is_down = True
    await asyncio.sleep(6)
    assert 0 < lease.fence() <= Terms().duration - 6
    await stop(leading)


async def test_a_challenger_counts_from_the_moment_that_it_saw_the_renewal() -> None:
    """Its look may take long, and show a renewal that was sent after it had asked."""
    server, clock = SlowLookServer(), 0.0
    holder = a_candidate(server, "a", clock=lambda: clock)
    challenger = a_candidate(server, "b", clock=lambda: clock)
    assert await holder._attempt()

    async def renew_meanwhile() -> None:
        nonlocal clock
        clock = 3.9
        assert await holder._attempt()

    clock, server.meanwhile = 2.0, renew_meanwhile
    assert not await challenger._attempt()
    clock = 17.0
    assert holder.fence() > 0
    assert not await challenger._attempt()
    clock = 19.0
    assert await challenger._attempt()
    with pytest.raises(NotLeaderError):
        holder.fence()


async def test_who_never_led_may_not_write() -> None:
    with pytest.raises(NotLeaderError):
        a_candidate(LeaseServer(), "a").fence()


async def test_a_wall_clock_in_the_lease_decides_nothing() -> None:
    """A holder whose clock is a year behind or ahead is believed all the same."""
    server, log = LeaseServer(), Diary()
    first = asyncio.create_task(a_candidate(server, "a").lead(log.work("a")))
    second = asyncio.create_task(a_candidate(server, "b").lead(log.work("b")))
    for year in ("1999", "2999"):
        await asyncio.sleep(20)
        assert server.stored is not None
        server.stored["spec"]["renewTime"] = f"{year}-01-01T00:00:00.000000Z"
    await asyncio.sleep(100)
    assert set(server.holders) == {"a"}
    await stop(first)
    await stop(second)


async def test_work_that_fails_ends_the_leadership_with_its_error() -> None:
    server = LeaseServer()

    async def fail() -> None:
        await asyncio.sleep(5)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await a_candidate(server, "a").lead(fail)
    assert server.holders[-1] == ""


async def test_a_lease_tells_people_who_holds_it_and_since_when() -> None:
    server = LeaseServer()
    leading = asyncio.create_task(a_candidate(server, "a").lead(Diary().work("a")))
    await asyncio.sleep(30)
    assert server.stored is not None
    spec = server.stored["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("a", 15)
    assert spec["leaseTransitions"] == 1
    assert spec["acquireTime"] <= spec["renewTime"]
    await stop(leading)
