"""Sends what a plan says and counts what comes back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.load.arrivals import Arrival, Open, schedule
from bench.load.connections import Connections
from bench.load.course import Course, End, Fate, end_of_stream
from bench.load.lanes import Lanes
from bench.load.lengths import Lengths
from bench.load.phases import Closed, Pause, Phase, Trace
from bench.load.plan import Plan
from bench.load.tally import Tally
from llm_client import Chunk, Finish, FinishReason, LLMError, Options

_LOST_AFTER = 5.0  # seconds past its own deadline
_REST_AFTER_ERROR = 0.1
_LONGEST_REST = 5.0

Watcher = Callable[[int, Phase], None]


class _EnoughError(Exception):
    """The plan's limit of requests is reached."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A request that is about to go out.

    rests: keeps its lane for a moment after an error; a closed loop must not spin on refusals.
    """

    number: int
    lane: int
    lengths: Lengths
    due: float
    tally: Tally
    rests: bool


class Generator:
    """One run of a plan.

    on_phase: told the number and the phase when one begins.
    """

    def __init__(
        self, plan: Plan, connections: Connections, on_phase: Watcher = lambda *_: None
    ) -> None:
        self.tallies = [Tally(plan.objective) for _ in plan.phases]
        self.phase = 0
        self._plan = plan
        self._connections = connections
        self._on_phase = on_phase
        self._lanes = Lanes()
        self._freed = asyncio.Event()
        self._numbered = 0
        self._sender: asyncio.Task[None] | None = None
        self._is_stopped = False

    @property
    def total(self) -> Tally:
        """Everything so far."""
        total = Tally(self._plan.objective)
        for tally in self.tallies[: self.phase + 1]:
            total.merge(tally)
        return total

    async def run(self) -> None:
        """Plays the phases and returns when the last request has ended.

        A plan's limit of seconds, like a cancel from outside, cancels what is under way.
        """
        try:
            async with asyncio.timeout(self._plan.limits.seconds), asyncio.TaskGroup() as requests:
                self._sender = requests.create_task(self._send(requests))
                if self._is_stopped:
                    self._sender.cancel()
        except TimeoutError:
            return

    def stop(self) -> None:
        """Sends nothing more; what is under way may end."""
        self._is_stopped = True
        if self._sender is not None:
            self._sender.cancel()

    async def _send(self, requests: asyncio.TaskGroup) -> None:
        try:
            for number, phase in enumerate(self._plan.phases):
                self.phase = number
                self._on_phase(number, phase)
                await self._play(phase, requests)
        except _EnoughError:
            return

    async def _play(self, phase: Phase, requests: asyncio.TaskGroup) -> None:
        tally = self.tallies[self.phase]
        tally.began = time.monotonic()
        try:
            match phase:
                case Closed():
                    await self._keep(phase, tally, requests)
                case Pause():
                    await _sleep_until(tally.began + phase.seconds)
                case _:
                    await self._follow(phase, tally, requests)
        finally:
            tally.ended = max(tally.ended, time.monotonic())

    async def _keep(self, phase: Closed, tally: Tally, requests: asyncio.TaskGroup) -> None:
        """Closed loop."""
        first, streams = self._numbered, min(phase.streams, self._plan.limits.in_flight)
        try:
            async with asyncio.timeout(phase.seconds):
                while not phase.requests or self._numbered - first < phase.requests:
                    await self._room(streams)
                    ticket = self._ticket(Arrival(time.monotonic()), tally, rests=True)
                    requests.create_task(self._go(ticket))
        except TimeoutError:
            return

    async def _follow(self, phase: Open, tally: Tally, requests: asyncio.TaskGroup) -> None:
        """Open loop."""
        traced = self._plan.traces[phase.file] if isinstance(phase, Trace) else ()
        for arrival in schedule(phase, self._plan.random(self.phase), traced):
            due = Arrival(tally.began + arrival.at, arrival.lengths)
            await _sleep_until(due.at)
            if self._lanes.taken >= self._plan.limits.in_flight:
                tally.unsent += 1
                continue
            requests.create_task(self._go(self._ticket(due, tally, rests=False)))
        if not isinstance(phase, Trace):
            await _sleep_until(tally.began + phase.seconds)

    async def _room(self, streams: int) -> None:
        """Returns when fewer than `streams` lanes are taken."""
        while self._lanes.taken >= streams:
            self._freed.clear()
            await self._freed.wait()

    def _ticket(self, arrival: Arrival, tally: Tally, *, rests: bool) -> _Ticket:
        """The next request, due at a time of the clock; takes a lane."""
        number = self._numbered
        if number >= self._plan.limits.requests:
            raise _EnoughError
        self._numbered += 1
        lengths = arrival.lengths or self._plan.shape.lengths(number)
        return _Ticket(number, self._lanes.take(), lengths, arrival.at, tally, rests)

    async def _go(self, ticket: _Ticket) -> None:
        """One request, and the rest after it; frees the lane."""
        try:
            end = await self._meet_fate(ticket)
            if ticket.rests and end.fate is Fate.FAILED:
                rest = max(_REST_AFTER_ERROR, end.retry_after)
                await asyncio.sleep(min(_LONGEST_REST, rest))
        finally:
            self._lanes.give_back(ticket.lane)
            self._freed.set()

    async def _meet_fate(self, ticket: _Ticket) -> End:
        course = Course(ticket.lengths.output, ticket.due, time.monotonic())
        ticket.tally.begin(course, ticket.lengths.prompt)
        end = End(Fate.CANCELLED)
        try:
            async with asyncio.timeout(self._plan.limits.timeout + _LOST_AFTER):
                end = await self._ask(ticket, course)
        except TimeoutError:
            end = End(Fate.LOST)
        except LLMError as error:
            end = End(Fate.FAILED, error.code, error.retry_after or 0.0)
        finally:
            ticket.tally.end(course, end, time.monotonic())
        return end

    async def _ask(self, ticket: _Ticket, course: Course) -> End:
        """Streams the answer. Raises LLMError."""
        prompt = self._plan.shape.prompt_tokens(ticket.number, ticket.lengths.prompt)
        options = Options(max_new_tokens=ticket.lengths.output, ignore_eos=True, temperature=0.0)
        timeout = self._plan.limits.timeout
        finish: Finish | None = None
        shape = self._plan.shape
        lane = shape.client(ticket.number) if shape.clients else ticket.lane
        async with self._connections.client(lane, timeout) as client:
            async for chunk in client.stream(prompt, options):
                finish = _note(chunk, course, ticket.tally)
        if finish is None:
            return End(Fate.LOST)
        was_aborted = finish.reason is FinishReason.ABORTED
        return end_of_stream(finish.output_tokens, course.tokens, was_aborted=was_aborted)


def _note(chunk: Chunk, course: Course, tally: Tally) -> Finish | None:
    if chunk.token_ids:
        tally.grow(course, len(chunk.token_ids), time.monotonic())
    return chunk.finish


async def _sleep_until(due: float) -> None:
    """Lets others run, also when the time has come already."""
    await asyncio.sleep(max(0.0, due - time.monotonic()))
