"""One LLMDeployment that is served: its calls are held until a pod can have them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import grpc

from llm_operator.activator import refusals
from llm_operator.activator.attempt import Incoming, Outcome, attempt
from llm_operator.activator.inbox import Inbox
from llm_operator.activator.line import Line
from llm_operator.activator.metadata import passed_on
from llm_operator.activator.pods import MESSAGE_BYTES, Pod, Pods
from llm_operator.activator.room import Claim, Memory, Room
from llm_operator.activator.target import Limits, Target
from llm_operator.activator.verdict import Status, TryAgain, verdict
from llm_operator.rpc import Context

BREATH_SECONDS = 0.001
"""A timer may ring a little early: who looks again just before its time must not spin."""


class Meter(Protocol):
    """Is told what became of calls. `result`: passed_on, refused, timed_out, ended or cancelled."""

    def finished(self, result: str) -> None:
        """A call is over."""

    def was_held(self, seconds: float) -> None:
        """A call was held for so long, whatever came then."""


@dataclass(slots=True)
class _Visit:
    """One call on its way."""

    number: int
    hold_until: float
    incoming: Incoming
    claim: Claim
    avoided: dict[Pod, float] = field(default_factory=dict)
    """Pods that broke it off or were full, and until when (loop time) they are left alone."""
    broken: int = 0
    last: Status | None = None

    def avoided_at(self, now: float) -> set[Pod]:
        return {pod for pod, until in self.avoided.items() if until > now}

    @property
    def refusal(self) -> tuple[Status, str] | None:
        """Why it cannot stay; None while it can."""
        shortage = self.claim.shortage
        return None if shortage is None else (self.last or refusals.full(shortage), "refused")

    def look_again(self, now: float) -> float:
        """Loop time at which a pod may be tried that is left alone now, or the hold ends."""
        return min([self.hold_until, *(t for t in self.avoided.values() if t > now)])


@dataclass(slots=True)
class Served:
    """`changed` is called when the counts change; with True when something is held that nobody
    knows of."""

    meter: Meter
    memory: Memory
    changed: Callable[[bool], None]
    message_bytes: int = MESSAGE_BYTES
    forwarding: int = 0
    received: int = 0
    room: Room = field(init=False)
    pods: Pods = field(init=False)
    _limits: Limits = field(default_factory=Limits)
    _line: Line = field(default_factory=Line)
    _numbers: Any = field(default_factory=count)
    _farewell: Status | None = None

    def __post_init__(self) -> None:
        self.room = Room()
        self.pods = Pods(self._line.move, self.message_bytes)

    @property
    def is_idle(self) -> bool:
        """Whether no call is here."""
        return not self.room.calls and not self.forwarding

    def follow(self, target: Target) -> None:
        """Takes over what the slices say now."""
        self._limits = target.limits
        self.room.max_calls = target.limits.calls
        self.pods.follow(target.pods)

    def hold_no_more(self, farewell: Status | None) -> None:
        """Ends what is held with this status, and from now on what would be; None takes it back."""
        self._farewell = farewell
        self._line.move()

    async def handle(self, method: str, context: Context) -> None:
        """One call, to its end. A handler of grpc.aio for any method and cardinality."""
        self.received += 1
        visit = self._visit(method, context)
        filling = asyncio.create_task(visit.incoming.inbox.fill())
        result = "cancelled"
        try:
            status, result = await self._answer(visit)
            _finish(context, status)
        finally:
            self.meter.finished(result)
            filling.cancel()
            visit.claim.close()
            await asyncio.wait({filling})

    def _visit(self, method: str, context: Context) -> _Visit:
        claim = Claim(self.memory, self.room)
        claim.open()

        def took(size: int) -> bool:
            return claim.add(size) or self._end(visit)

        metadata = passed_on(context.invocation_metadata())
        incoming = Incoming(method, context, Inbox(context.read, took, claim.drop), metadata)
        until = asyncio.get_running_loop().time() + self._limits.seconds
        visit = _Visit(next(self._numbers), until, incoming, claim)
        return visit

    def _end(self, visit: _Visit) -> bool:
        """What comes of the request cannot be kept: wherever the call is, it ends. Gives False."""
        self._line.call(visit.number)
        visit.incoming.break_off()
        return False

    async def _answer(self, visit: _Visit) -> tuple[Status, str]:
        """The status for the client and the name of the result."""
        while (refusal := visit.refusal) is None:
            now = asyncio.get_running_loop().time()
            pod = self.pods.pick(visit.avoided_at(now))
            if pod is None:
                end = await self._hold(visit)
                if end is not None:
                    return end
                continue
            outcome = await self._forward(visit, pod)
            if visit.claim.shortage is not None:
                continue
            now = asyncio.get_running_loop().time()
            next_step = verdict(
                outcome.status,
                visit.broken,
                is_untouched=outcome.is_untouched,
                is_late=now >= visit.hold_until,
            )
            if not isinstance(next_step, TryAgain):
                return outcome.status, "passed_on"
            visit.broken, visit.last = next_step.broken, outcome.status
            visit.avoided[pod] = now + next_step.seconds
        return refusal

    async def _forward(self, visit: _Visit, pod: Pod) -> Outcome:
        pod.calls += 1
        self.forwarding += 1
        self.changed(False)
        try:
            return await attempt(visit.incoming, pod)
        finally:
            self.forwarding -= 1
            self.pods.done(pod)
            self.changed(False)

    async def _hold(self, visit: _Visit) -> tuple[Status, str] | None:
        """Returns None when a pod can have the call, else why the client's wait is over."""
        if not visit.claim.hold():
            return visit.refusal
        began = asyncio.get_running_loop().time()
        self.changed(self.room.calls == 1)
        try:
            return await self._wait(visit)
        finally:
            visit.claim.go_on()
            self.meter.was_held(asyncio.get_running_loop().time() - began)
            self.changed(False)

    async def _wait(self, visit: _Visit) -> tuple[Status, str] | None:
        clock = asyncio.get_running_loop().time
        while (refusal := visit.refusal) is None:
            now = clock()
            if self.pods.pick(visit.avoided_at(now)) is not None:
                return None
            if self._farewell is not None:
                return visit.last or self._farewell, "ended"
            if now >= visit.hold_until:
                return visit.last or refusals.waited(self._limits.seconds), "timed_out"
            await self._line.wait(visit.number, max(BREATH_SECONDS, visit.look_again(now) - now))
        return refusal


def _finish(context: Context, status: Status) -> None:
    context.set_trailing_metadata(status.trailers)
    if status.code is not grpc.StatusCode.OK:
        context.set_code(status.code)
    context.set_details(status.details)
