"""The engine's one thread, which drains the inbox, steps and publishes.

Everything else talks to it through two calls, submit and abort.

The thread owns all requests. When the backend fails, nothing in the caches can be trusted: every
request ends, `ended` carries the error, and the process is expected to exit.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from llm_runtime.backend.base import Backend, CacheShape, StepInput, StepRow
from llm_runtime.engine.batch import Batch, Load, Sizes
from llm_runtime.engine.bell import Bell
from llm_runtime.engine.channel import Channel, wake
from llm_runtime.engine.observer import Both, Observer
from llm_runtime.engine.occupancy import Occupancy
from llm_runtime.engine.request import End, Ending, Request
from llm_runtime.engine.scheduler import Budget
from llm_runtime.engine.signals import Recent, Signals
from llm_runtime.engine.utilization import Utilization, utilization

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How the engine works.

    Attributes:
        shape: room for sequences.
        budget: prompt tokens of a step; none larger than the shape's chunk.
        unread_tokens: tokens a client may leave unread before its request is ended.
    """

    shape: CacheShape
    budget: Budget
    unread_tokens: int = 2048


@dataclass(frozen=True, slots=True)
class _Submit:
    request: Request
    channel: Channel
    submitted: float


@dataclass(frozen=True, slots=True)
class _Abort:
    request_id: str | None
    end: End


class _Stop:
    """Ends the thread after what is in the inbox before it."""


_NOTHING = Load()
_Message = _Submit | _Abort | _Stop
_DEAD = End(Ending.ENGINE_DEAD, detail="The engine has stopped")


class Engine:
    """A backend with a thread.

    `ready` is done once the model is loaded and one step ran, `ended` when the thread is over; both
    carry the error if there was one. `news` rings whenever `load` has changed.
    """

    def __init__(
        self,
        backend: Backend,
        config: EngineConfig,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.ready: Future[None] = Future()
        self.ended: Future[None] = Future()
        self.news = Bell()
        self._backend = backend
        self._clock = clock
        self._signals = Signals(clock)
        self._observer = Both(self._signals, observer)
        self._batch: Batch[Channel] = Batch(
            backend, config.shape, config.budget, self._observer, clock
        )
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._load = Load()  # of the batch, as of the last step; the inbox is counted apart
        self._arrived = Load()
        self._sizes = Sizes()
        self._started = clock()
        self._occupancy = Occupancy()
        self._utilization = Utilization()
        self._received = 0
        self._cut_off = 0
        self._is_over = False
        self._step_started: float | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Starts loading, in the engine's thread."""
        self._thread.start()

    def submit(self, request: Request) -> Channel:
        """Hands a request over and returns where its tokens arrive.

        Called in the event loop of the reader.
        """
        channel = Channel(asyncio.get_running_loop(), self.config.unread_tokens)
        with self._lock:
            is_over = self._is_over
            if not is_over:
                self._received += 1
                self._arrived = _plus(self._arrived, 1, len(request.prompt))
                self._count()
                self._inbox.put(_Submit(request, channel, self._clock()))
        if is_over:
            channel.close(_DEAD)
            channel.notify()
        self.news.ring()
        return channel

    def abort(self, request_id: str, why: Ending) -> None:
        """Ends a request before the next step; nothing happens when it has ended already."""
        self._inbox.put(_Abort(request_id, End(why)))

    def end_all(self) -> None:
        """Ends every request before the next step; what was generated so far is their answer."""
        self._inbox.put(_Abort(None, End(Ending.DRAINED)))

    def forget_cut_off(self) -> None:
        """Counts `cut_off` from 0 again."""
        with self._lock:
            self._cut_off = 0

    def stop(self) -> None:
        """Ends the thread, and all requests with it, before the next step. `ended` tells when."""
        self._inbox.put(_Stop())

    @property
    def load(self) -> Load:
        """The load now: as of the last step, with all that was submitted since."""
        with self._lock:
            return _plus(self._load, self._arrived.waiting, self._arrived.tokens_queued)

    @property
    def recent(self) -> Recent:
        """What it did of late; sizes of requests are of those that run until one has ended."""
        recent = self._signals.recent()
        with self._lock:
            sizes = self._sizes
        if recent.ended or not sizes.requests:
            return recent
        return replace(
            recent,
            mean_prompt=sizes.prompt_tokens / sizes.requests,
            mean_output=sizes.output_tokens / sizes.requests,
        )

    @property
    def occupancy(self) -> Occupancy:
        """Requests over the time since the engine was made, until now."""
        with self._lock:
            return self._occupancy.see(self._clock() - self._started)

    @property
    def utilization(self) -> float:
        """How busy it has been of late; 0 after a while without a request."""
        with self._lock:
            return self._utilization.lately(self._clock() - self._started)

    @property
    def received(self) -> int:
        """Requests that were submitted since the start."""
        with self._lock:
            return self._received

    @property
    def cut_off(self) -> int:
        """Requests that `end_all` has ended."""
        with self._lock:
            return self._cut_off

    def stalled_seconds(self) -> float:
        """Seconds that the step in progress has taken so far; 0 between steps."""
        started = self._step_started
        return 0.0 if started is None else max(0.0, self._clock() - started)

    def _run(self) -> None:
        try:
            self._load_model()
            while self._drain():
                self._step()
        except Exception as error:  # whatever it was, the thread must not end in silence
            log.exception("Engine failed")
            self._finish(error)
        else:
            self._finish(None)

    def _load_model(self) -> None:
        self._backend.load()
        log.info("Loaded the model")
        self._backend.step(StepInput((StepRow(slot=0, start=0, tokens=(0,)),)))
        self.ready.set_result(None)

    def _drain(self) -> bool:
        """Takes in all messages, waiting for one while there is nothing to step; False to stop."""
        messages = self._wait_for_message() if self._batch.is_idle else []
        messages += self._take_messages()
        goes_on = not any(isinstance(message, _Stop) for message in messages)
        for message in messages:
            self._take_in(message)
        submits = [message for message in messages if isinstance(message, _Submit)]
        tokens = sum(len(submit.request.prompt) for submit in submits)
        self._publish(Load(waiting=len(submits), tokens_queued=tokens))
        return goes_on

    def _wait_for_message(self) -> list[_Message]:
        self._batch.check_integrity()
        return [self._inbox.get()]

    def _take_messages(self) -> list[_Message]:
        """All messages there are."""
        messages: list[_Message] = []
        try:
            while True:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            return messages

    def _take_in(self, message: _Message) -> None:
        match message:
            case _Submit(request, channel, submitted):
                self._batch.add(request, channel, submitted)
            case _Abort(None, end):
                self._cut(end)
            case _Abort(str() as request_id, end):
                self._batch.abort(request_id, end)

    def _cut(self, end: End) -> None:
        load = self._batch.load
        with self._lock:
            self._cut_off += load.running + load.waiting
        self._batch.abort_all(end)

    def _step(self) -> None:
        if self._batch.is_idle:
            return
        self._step_started = self._clock()
        report = self._batch.step()
        self._step_started = None
        self._observer.step(report)
        self._publish()

    def _publish(self, taken_in: Load = _NOTHING) -> None:
        """Shows what the batch is like now, and then wakes those who wait for news of it."""
        load, sizes = self._batch.load, self._batch.sizes
        with self._lock:
            self._arrived = _plus(self._arrived, -taken_in.waiting, -taken_in.tokens_queued)
            self._load, self._sizes = load, sizes
            self._count()
        wake(self._batch.take_news())
        self.news.ring()

    def _count(self) -> None:
        """Notes what the load is from now on. Called with the lock."""
        now = self._clock() - self._started
        load = _plus(self._load, self._arrived.waiting, self._arrived.tokens_queued)
        self._occupancy = self._occupancy.see(now, load.running + load.waiting)
        self._utilization = self._utilization.see(now, utilization(load, self.config.shape))

    def _finish(self, error: Exception | None) -> None:
        """Ends all requests, those that nobody took in included, and says so."""
        self._step_started = None
        with self._lock:
            self._is_over = True  # from here on `submit` answers by itself
        for message in self._take_messages():
            if isinstance(message, _Submit):
                self._take_in(message)
        self._batch.abort_all(_DEAD)
        with self._lock:
            self._arrived = Load()
        self._publish()
        self._backend.close()
        self._resolve(error)

    def _resolve(self, error: Exception | None) -> None:
        if error is None:
            self.ended.set_result(None)
            return
        self.ended.set_exception(error)
        if not self.ready.done():
            self.ready.set_exception(error)


def _plus(load: Load, requests: int, tokens: int) -> Load:
    return replace(load, waiting=load.waiting + requests, tokens_queued=load.tokens_queued + tokens)
