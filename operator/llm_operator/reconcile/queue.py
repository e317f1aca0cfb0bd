"""Keyed work queue: what has to be reconciled, when, and never twice at a time.

An event, a child's event and a resync tick all end as `add(key)`. The queue folds duplicates into
one pending run, runs a key at most once at a time (an `add` during a run means one more run after
it), and owns retry: a run that raises is due again after a jittered, exponential delay, so no
failed run is lost. kopf cannot do this for us: errors of its `on.event` handlers are logged and
dropped.

Pure asyncio. Time is the running loop's clock, randomness is injected; nothing here knows
Kubernetes.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import AsyncIterable, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
Work = Callable[[K], Awaitable[float | None]]
"""Does one run for a key. Returns the seconds after which it wants to run again, or None."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay before the n-th retry: `first * 2**(n-1)`, capped, then jittered downwards.

    Units are seconds. With the defaults: 1, 2, 4 … 256, 300, 300. `jitter` is the largest share
    that is taken off, so that keys that failed together do not come back together.
    """

    first: float = 1.0
    limit: float = 300.0
    jitter: float = 0.25
    draw: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row (counted from 1)."""
        doublings = min(failures - 1, 30)  # 2.0**30 s is beyond any limit; keeps the float finite
        return min(self.limit, self.first * 2.0**doublings) * (1.0 - self.jitter * self.draw())


@dataclass(slots=True)
class _State:
    """What the queue knows of one key. `due` is None while no run is wanted."""

    due: float | None = None
    running: bool = False
    failures: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class KeyedQueue(Generic[K]):
    """Pending runs by key. Not thread-safe: to be used from one event loop.

    A key in back-off may be woken early by an `add` (the user has just fixed the spec), but never
    more often than once per `backoff.first`: the failed run's own status write is an event too,
    and would otherwise turn the retry into a hot loop.
    """

    backoff: Backoff = field(default_factory=Backoff)
    _states: dict[K, _State] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    _sequence: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        """Keys that wait for a run, delayed ones included."""
        return sum(state.due is not None for state in self._states.values())

    def overdue(self, now: float) -> float:
        """Seconds that the longest-waiting due key has waited for a worker; 0 when none waits."""
        dues = [state.due for state in self._states.values() if state.due is not None]
        return max(0.0, now - min(dues, default=now))

    def add(self, key: K) -> None:
        """Wants a run of this key as soon as may be."""
        self.add_after(key, 0.0)

    def add_after(self, key: K, seconds: float) -> None:
        """Wants a run of this key after `seconds`; an earlier wish that is already there stays."""
        state = self._states.setdefault(key, _State())
        due = max(asyncio.get_running_loop().time() + seconds, state.not_before)
        if state.due is None or due < state.due:
            state.due = due
            self._push(key, due)

    def _push(self, key: K, due: float) -> None:
        self._sequence += 1  # ties run in the order of their wishes, and keys need no ordering
        heapq.heappush(self._heap, (due, self._sequence, key))
        self._wake.set()

    async def run(self, work: Work[K], *, workers: int) -> None:
        """Runs `work` for due keys, `workers` at a time, until cancelled.

        A run that is interrupted by the cancellation stays wanted: the next `run` starts with it.
        """
        free = asyncio.Semaphore(workers)
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                key = await self._next()
                task = group.create_task(self._run_one(key, work))
                task.add_done_callback(lambda _: free.release())

    async def _next(self) -> K:
        """The next key whose time has come; it counts as running when this returns."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            key = self._pop_due(loop.time())
            if key is not None:
                return key
            timer = loop.call_at(self._heap[0][0], self._wake.set) if self._heap else None
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _pop_due(self, now: float) -> K | None:
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            state = self._states.get(key)
            if state is None or state.due != due or state.running:
                continue  # overtaken by an earlier wish, or running: pushed again afterwards
            state.due, state.running = None, True
            return key
        return None

    async def _run_one(self, key: K, work: Work[K]) -> None:
        state = self._states[key]
        interrupted = True
        try:
            again = await work(key)
            interrupted = False
            state.failures, state.not_before = 0, 0.0
            if again is not None:
                self.add_after(key, again)
        except Exception as error:  # whatever went wrong, the run must come back
            interrupted = False
            self._postpone(key, state, error)
        finally:
            state.running = False
            if interrupted:
                self.add(key)
            self._settle(key, state)

    def _postpone(self, key: K, state: _State, error: Exception) -> None:
        has_progressed = getattr(error, "made_progress", False)
        state.failures = 1 if has_progressed else state.failures + 1
        delay = self.backoff.delay(state.failures)
        asked = getattr(error, "retry_after", None)  # what a server told us with its 429 or 503
        if isinstance(asked, int | float):
            delay = max(delay, float(asked))
        now = asyncio.get_running_loop().time()
        state.not_before = now + max(float(asked or 0.0), min(delay, self.backoff.first))
        if state.due is not None:  # wanted again while it ran and failed: not before its floor
            state.due = None
            delay = state.not_before - now
        self.add_after(key, delay)
        logger.warning(
            "Reconciliation failed, will be retried",
            extra={"key": str(key), "failures": state.failures, "delay_seconds": round(delay, 3)},
            exc_info=error,
        )

    def _settle(self, key: K, state: _State) -> None:
        if state.due is not None:
            self._push(key, state.due)
        elif state.failures == 0:
            del self._states[key]  # a key that nothing is known of costs nothing


async def resync(
    queue: KeyedQueue[K], keys: Callable[[], AsyncIterable[K]], *, every: float
) -> None:
    """Adds all `keys()` every `every` seconds, for ever: heals whatever event was lost."""
    while True:
        await asyncio.sleep(every)
        async for key in keys():
            queue.add(key)
