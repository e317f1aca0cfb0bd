"""The sequences that run and wait, and the step that moves them on.

There is no thread and no queue here: the loop owns one of these.

A step is four moves: plan, compute, choose a token for each finished row, publish. Whatever ends a
sequence gives its slot back at once, so the next plan can use it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from llm_runtime.backend.base import Backend, CacheShape, StepInput, StepRow
from llm_runtime.engine import scheduler
from llm_runtime.engine.kv import SlotTable
from llm_runtime.engine.observer import Observer, StepReport
from llm_runtime.engine.request import End, Ending, Request
from llm_runtime.engine.sampling import Logits, NotFiniteError, choose
from llm_runtime.engine.stop import banned_before, end_after


class Sink(Protocol):
    """Where the tokens of one request go."""

    def push(self, token: int) -> bool:
        """Adds a token; False when there is no room."""

    def close(self, end: End) -> None:
        """Says that nothing follows, and why."""


S = TypeVar("S", bound=Sink)


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine is. Tokens held are those in the caches of running requests."""

    running: int = 0
    waiting: int = 0
    tokens_held: int = 0
    tokens_queued: int = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """What running requests consist of so far, together."""

    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class _Sequence(Generic[S]):
    request: Request
    sink: S
    submitted: float
    slot: int = -1
    produced: list[int] = field(default_factory=list)
    last_token: float = 0.0

    @property
    def known(self) -> int:
        return len(self.request.prompt) + len(self.produced)

    def tokens(self, start: int, count: int) -> list[int]:
        if self.produced:
            return self.produced[-1:]
        return list(self.request.prompt[start : start + count])


class Batch(Generic[S]):
    """All requests that are in the engine."""

    def __init__(
        self,
        backend: Backend,
        shape: CacheShape,
        budget: scheduler.Budget,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._backend = backend
        self._budget = budget
        self._observer = observer
        self._clock = clock
        self._slots = SlotTable(shape.slots)
        self._waiting: dict[str, _Sequence[S]] = {}
        self._running: dict[int, _Sequence[S]] = {}
        self._news: dict[int, S] = {}

    @property
    def is_idle(self) -> bool:
        """True when there is nothing to step."""
        return not self._running and not self._waiting

    @property
    def load(self) -> Load:
        """The load between two steps."""
        return Load(
            running=len(self._running),
            waiting=len(self._waiting),
            tokens_held=self._slots.tokens_held,
            tokens_queued=sum(len(item.request.prompt) for item in self._waiting.values()),
        )

    @property
    def sizes(self) -> Sizes:
        """The sizes of running requests between two steps."""
        return Sizes(
            requests=len(self._running),
            prompt_tokens=sum(len(item.request.prompt) for item in self._running.values()),
            output_tokens=sum(len(item.produced) for item in self._running.values()),
        )

    def add(self, request: Request, sink: S, submitted: float) -> None:
        """Puts a request at the end of those that wait. `submitted` is a time of the clock."""
        self._waiting[request.id] = _Sequence(request, sink, submitted)

    def abort(self, request_id: str, end: End) -> None:
        """Ends a request wherever it is; nothing happens when it is not there."""
        sequence = self._waiting.get(request_id) or next(
            (item for item in self._running.values() if item.request.id == request_id), None
        )
        if sequence is not None:
            self._finish(sequence, end)

    def abort_all(self, end: End) -> None:
        """Ends every request."""
        for sequence in [*self._running.values(), *self._waiting.values()]:
            self._finish(sequence, end)

    def take_news(self) -> list[S]:
        """Returns, once, the sinks that got something since the last call."""
        news = list(self._news.values())
        self._news.clear()
        return news

    def check_integrity(self) -> None:
        """Raises SlotTableError when slots and sequences disagree."""
        self._slots.check_integrity(self._running)

    def step(self) -> StepReport:
        """Computes one step. Raises BackendError, after which the batch is of no use."""
        started = self._clock()
        rows = self._plan()
        logits = self._backend.step(StepInput(rows)).logits
        index = prompt_tokens = 0
        for row in rows:
            sequence = self._running[row.slot]
            prompt_tokens += 0 if sequence.produced else len(row.tokens)
            self._slots.extend(row.slot, len(row.tokens))
            if row.wants_logits:
                self._continue(sequence, logits[index])
                index += 1
        return StepReport(self._clock() - started, prompt_tokens, index)

    def _plan(self) -> tuple[StepRow, ...]:
        plan = scheduler.schedule(
            [
                scheduler.Running(slot, item.known - self._slots.length(slot), bool(item.produced))
                for slot, item in self._running.items()
            ],
            [
                scheduler.Waiting(item.request.id, len(item.request.prompt))
                for item in self._waiting.values()
            ],
            self._slots.free,
            self._budget,
        )
        for admission in plan.admissions:
            self._admit(admission)
        return tuple(self._row(work) for work in plan.work)

    def _admit(self, admission: scheduler.Admission) -> None:
        sequence = self._waiting.pop(admission.id)
        sequence.slot = admission.slot
        self._slots.take(admission.slot)
        self._running[admission.slot] = sequence

    def _row(self, work: scheduler.Work) -> StepRow:
        sequence = self._running[work.slot]
        start = self._slots.length(work.slot)
        return StepRow(
            slot=work.slot,
            start=start,
            tokens=sequence.tokens(start, work.count),
            wants_logits=start + work.count == sequence.known,
        )

    def _continue(self, sequence: _Sequence[S], logits: Logits) -> None:
        """Chooses and publishes the next token, and ends the sequence when it was the last."""
        request, produced = sequence.request, len(sequence.produced)
        banned = banned_before(request.stopping, produced)
        try:
            token = choose(logits, request.sampling, produced, banned)
        except NotFiniteError:
            self._finish(sequence, End(Ending.FAILED, detail="The model gave no finite logits"))
            return
        sequence.produced.append(token)
        self._time_token(sequence)
        end = end_after(request.stopping, token, produced + 1)
        if not sequence.sink.push(token):
            end = End(Ending.SLOW_CLIENT, detail="The client read the answer too slowly")
        self._news[id(sequence.sink)] = sequence.sink
        if end is not None:
            self._finish(sequence, end)

    def _time_token(self, sequence: _Sequence[S]) -> None:
        now = self._clock()
        if len(sequence.produced) == 1:
            self._observer.first_token(now - sequence.submitted)
        else:
            self._observer.next_token(now - sequence.last_token)
        sequence.last_token = now

    def _finish(self, sequence: _Sequence[S], end: End) -> None:
        if self._waiting.pop(sequence.request.id, None) is None:
            del self._running[sequence.slot]
            self._slots.release(sequence.slot)
        if sequence.produced:
            self._observer.ended(len(sequence.request.prompt), len(sequence.produced))
        sequence.sink.close(end)
        self._news[id(sequence.sink)] = sequence.sink
