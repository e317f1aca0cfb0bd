"""Pods and their reports for the autoscaler's tests, and a clock that is moved by hand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.decide import Decision, Limits, Memory, decide
from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.signals import PodLoad, PodState

SLOTS = 4
PROMPT, OUTPUT = 20, 200
START = 1_800_000_000.0


def load(requests: int = 0, **changes: Any) -> PodLoad:
    """What a pod of four slots says that has so many requests; memory never is its limit."""
    running, waiting = min(SLOTS, requests), max(0, requests - SLOTS)
    made = PodLoad(
        running=running,
        waiting=waiting,
        tokens_held=running * (PROMPT + OUTPUT // 2),
        prompt_tokens_queued=waiting * PROMPT,
        capacity_tokens=SLOTS * 2048,
        slots=SLOTS,
        mean_prompt=PROMPT,
        mean_output=OUTPUT,
    )
    return replace(made, **changes)


def pod(number: int, requests: int = 0, **changes: Any) -> PodReport:
    """A pod that reports."""
    return PodReport(uid=f"pod-{number}", load=load(requests, **changes))


def silent(number: int) -> PodReport:
    """A ready pod whose report never comes or cannot be true."""
    return PodReport(uid=f"pod-{number}", load=None)


def leaving(number: int, requests: int = 0) -> PodReport:
    """A pod that drains."""
    return pod(number, requests, state=PodState.DRAINING)


def spread(requests: int, pods: int, first: int = 0) -> tuple[PodReport, ...]:
    """So many pods that share so many requests evenly."""
    return tuple(
        pod(first + i, requests // pods + (i < requests % pods)) for i in range(max(0, pods))
    )


@dataclass(slots=True)
class Course:
    """One LLMDeployment's decisions along time."""

    spec: AutoscalingSpec = field(default_factory=lambda: AutoscalingSpec(max_replicas=20))
    current: int = 1
    limits: Limits = field(default_factory=lambda: Limits(capacity_timeout=900.0))
    now: float = START
    memory: Memory = field(init=False)
    history: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        """As after a start of the operator."""
        self.memory = Memory.after_restart(self.current, self.now)

    def restart(self) -> None:
        """Another process leads: it knows what was wanted last, and nothing else."""
        self.memory = Memory.after_restart(self.current, self.now)

    def look(self, pods: Iterable[PodReport] = (), after: float = 1.0, **seen: Any) -> Decision:
        """A decision `after` seconds later."""
        self.now += after
        seen = {"current": self.current, **seen}
        decision = decide(
            Observation(now=self.now, pods=tuple(pods), **seen),
            self.memory,
            self.spec,
            self.limits,
        )
        self.memory, self.current = decision.memory, decision.desired
        self.history.append(decision)
        return decision

    def stay(
        self, pods: Sequence[PodReport], seconds: float, step: float = 1.0, **seen: Any
    ) -> Decision:
        """The same is seen for so long, whatever is decided."""
        for _ in range(max(1, round(seconds / step))):
            decision = self.look(pods, step, **seen)
        return decision

    def serve(
        self, requests: int | Callable[[float], int], seconds: float, step: float = 1.0
    ) -> list[int]:
        """So many requests in a world where a wanted pod is ready at once; the counts wanted."""
        wanted = []
        begin = self.now
        for _ in range(round(seconds / step)):
            count = requests(self.now - begin) if callable(requests) else requests
            wanted.append(self.look(spread(count, self.current), step).desired)
        return wanted


def autoscaling(**changes: Any) -> AutoscalingSpec:
    """A spec, camelCase as users write it; at most 20 pods."""
    return AutoscalingSpec.model_validate({"maxReplicas": 20, **changes})
