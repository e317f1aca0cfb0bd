"""A simulated pod: slots, a queue, prompts one after another, answers side by side.

A step of the batch takes BASE + EACH * k seconds while k answers grow, so each grows at the same
pace and only the pace changes: an answer ends when the pod's clock of tokens passes its mark.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field

from bench.autoscaler_sim.request import Request
from llm_operator.autoscale.signals import PodLoad, PodState

STEP_BASE_SECONDS = 0.020
STEP_EACH_SECONDS = 0.0015
PROMPT_TOKENS_PER_SECOND = 4000.0
MIXED = 0.5
"""Pace of answers while a prompt is computed beside them."""
SLOTS = 8
CAPACITY_TOKENS = SLOTS * 4096
_MEMORY = 1 / 32
"""Weight of the newest request in the moving averages that a pod reports, as in the runtime."""
RATE_SECONDS = 10.0
"""Tokens per second and seconds per step are told over so long, as in the runtime."""


@dataclass(eq=False, slots=True)
class Pod:
    """One pod from creation to end. Times in seconds since the start of the simulation."""

    uid: str
    made: float
    scheduled: float | None = None
    ready: bool = False
    leaving: float | None = None
    """Since when it drains."""
    queue: deque[Request] = field(default_factory=deque)
    prompts: deque[Request] = field(default_factory=deque)
    prompt_left: float = 0.0
    answers: list[tuple[float, int, Request]] = field(default_factory=list)
    """(mark on the clock of tokens, number, request), a heap."""
    clock: float = 0.0
    told: float = 0.0
    """Until when the state is computed."""
    version: int = 0
    """Grows with every change, so that outdated events are known."""
    received: int = 0
    request_seconds: float = 0.0
    """Requests that ran or waited, added up over time."""
    mean_prompt: float = 0.0
    mean_output: float = 0.0
    held_base: float = 0.0
    """Tokens held, without what the clock adds."""
    tokens: float = 0.0
    """Generated since the process started."""
    steps: float = 0.0
    stepping: float = 0.0
    """Seconds that the steps took."""
    lately: deque[tuple[float, float, float, float]] = field(default_factory=deque)
    """(time, `tokens`, `steps`, `stepping`) at the reports of the last RATE_SECONDS."""

    @property
    def running(self) -> int:
        return len(self.answers) + len(self.prompts)

    @property
    def work(self) -> int:
        return self.running + len(self.queue)

    def take(self, request: Request, now: float) -> None:
        """A request comes in."""
        self.advance(now)
        self.received += 1
        self.queue.append(request)
        self._admit()

    def advance(self, now: float) -> list[Request]:
        """Computes until `now`; returns the answers that ended."""
        self.elapse(now)
        if self.prompts and self.prompt_left <= 1e-9:
            self._answer(self.prompts.popleft(), now)
        ended = []
        while self.answers and self.answers[0][0] <= self.clock + 1e-6:
            mark, _, request = heapq.heappop(self.answers)
            self.held_base -= request.prompt - (mark - request.output)
            self.mean_output = _moved(self.mean_output, request.output)
            request.ended = now - request.at
            ended.append(request)
        self._admit()
        self.version += 1
        return ended

    def next_change(self) -> float | None:
        """When something ends next if nothing comes in."""
        times = []
        if self.prompts:
            times.append(self.prompt_left)
        if self.answers:
            times.append((self.answers[0][0] - self.clock) / self._pace())
        return self.told + max(0.0, min(times)) if times else None

    def stop(self) -> list[Request]:
        """The process ends: everything it had is lost or, if not begun, to be sent again."""
        for _, _, request in self.answers:
            request.is_lost = True
        orphans = [*self.prompts, *self.queue]
        self.queue.clear()
        self.prompts.clear()
        self.answers.clear()
        self.held_base = self.clock = 0.0
        self.tokens = self.steps = self.stepping = 0.0
        self.lately.clear()
        self.received = 0
        self.request_seconds = 0.0
        self.version += 1
        return orphans

    def load(self) -> PodLoad:
        """What it reports."""
        tokens, steps, stepping = self._lately()
        span = max(RATE_SECONDS, self.told - self.lately[0][0])
        held = self.held_base + self.clock * len(self.answers)
        return PodLoad(
            running=self.running,
            waiting=len(self.queue),
            tokens_held=min(CAPACITY_TOKENS, max(0, int(held))),
            prompt_tokens_queued=sum(request.prompt for request in self.queue),
            capacity_tokens=CAPACITY_TOKENS,
            slots=SLOTS,
            state=PodState.SERVING if self.leaving is None else PodState.DRAINING,
            tokens_per_second=tokens / span,
            step_seconds=stepping / steps if steps else 0.0,
            mean_prompt=self.mean_prompt,
            mean_output=self.mean_output,
            received=self.received,
            at_seconds=self.told - self.made,
            request_seconds=self.request_seconds,
        )

    def elapse(self, now: float) -> None:
        """Lets the time pass; what ends then is left to `advance`."""
        passed = now - self.told
        if passed > 0.0:
            self.request_seconds += self.work * passed
            self._step(passed)
            self.prompt_left -= passed if self.prompts else 0.0
        self.told = now

    def _step(self, seconds: float) -> None:
        if self.answers:
            steps = seconds * self._pace()
            self.clock += steps
            self.steps += steps
            self.tokens += steps * len(self.answers)
            self.stepping += seconds

    def _lately(self) -> tuple[float, float, float]:
        """Tokens, steps and seconds of stepping within the last RATE_SECONDS."""
        self.lately.append((self.told, self.tokens, self.steps, self.stepping))
        while len(self.lately) > 2 and self.lately[1][0] <= self.told - RATE_SECONDS:
            self.lately.popleft()
        _, tokens, steps, stepping = self.lately[0]
        return self.tokens - tokens, self.steps - steps, self.stepping - stepping

    def _pace(self) -> float:
        step = STEP_BASE_SECONDS + STEP_EACH_SECONDS * len(self.answers)
        return (MIXED if self.prompts else 1.0) / step

    def _admit(self) -> None:
        while self.queue and self.running < SLOTS:
            request = self.queue.popleft()
            self.prompts.append(request)
            self.mean_prompt = _moved(self.mean_prompt, request.prompt)
            if len(self.prompts) == 1:
                self.prompt_left = request.prompt / PROMPT_TOKENS_PER_SECOND

    def _answer(self, request: Request, now: float) -> None:
        """Its prompt is computed: the first token goes out."""
        if request.answered is None:
            request.answered = now - request.at
        heapq.heappush(self.answers, (self.clock + request.output, id(request), request))
        self.held_base += request.prompt - self.clock
        if self.prompts:
            self.prompt_left = self.prompts[0].prompt / PROMPT_TOKENS_PER_SECOND


def _moved(mean: float, value: float) -> float:
    return mean + _MEMORY * (value - mean) if mean else float(value)
