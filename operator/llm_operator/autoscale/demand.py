"""How much there is to do, counted in pods: 2.5 is what two and a half pods carry. Pure.

Work is what runs and what waits, weighed by its tokens. It has no upper bound, as utilisation and
tokens per second have, and unlike a queue it tells something below saturation too. Counting it in
pods keeps the windows right while lengths of requests and capacities change.

Two limits of a pod are told apart: its slots, in requests of the average length, and its memory,
in tokens. What is nearer to its limit counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.knee import Knees
from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.signals import PodLoad

MEMORY_SHARE = 0.8
"""Of a pod's tokens, what it can hold and still admit the next request."""

MOST_WAITING = 10_000
"""Requests that a pod can say to have waiting and be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What requests and pods are like, on average; 0 where nothing is known yet."""

    prompt: float = 0.0
    """Tokens of a prompt."""
    output: float = 0.0
    """Tokens of an answer."""
    slots: float = 0.0
    """Requests that a pod runs at once."""
    tokens: float = 0.0
    """What a pod's memory and its knee let it carry."""
    memory: float = 0.0
    """What a pod's memory lets it hold."""
    service: float = 0.0
    """Seconds that a request holds its slot."""

    @property
    def request(self) -> float:
        """Tokens that a request holds, averaged over its life."""
        return max(1.0, self.prompt + self.output / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The work of one moment."""

    pods: float
    """What reports and activators tell, in pods that it fills."""
    ready: int
    """Pods that serve, without leaving ones."""
    missing: int
    """Of them, those that give no credible report."""
    running: int
    waiting: int
    held: int
    forwarding: int
    """Not added to the others: pods report these calls, too."""
    profile: Profile

    @property
    def is_mostly_unknown(self) -> bool:
        return self.missing * 2 > self.ready

    @property
    def requests(self) -> int:
        return self.running + self.waiting + self.held

    def each(self, pods: float) -> float:
        """Of a pod, what one request is worth where all of them are worth so many pods."""
        if self.requests:
            return pods / self.requests
        return 1 / self.profile.slots if self.profile.slots else 0.0

    @property
    def is_nothing(self) -> bool:
        return self.running == self.waiting == self.held == self.forwarding == 0


def measure(observation: Observation, known: Profile, knees: Knees, spec: AutoscalingSpec) -> Load:
    """The load. `known`: what requests and pods were like before, for where nothing tells now."""
    told = [pod for pod in observation.pods if is_credible(pod.load)]
    reports = [pod.load for pod in told if pod.load is not None]
    ready = sum(not pod.is_leaving for pod in observation.pods)
    load = Load(
        pods=0.0,
        ready=ready,
        missing=ready - sum(not pod.is_leaving for pod in told),
        running=sum(report.running for report in reports),
        waiting=sum(report.waiting for report in reports),
        held=observation.held,
        forwarding=observation.forwarding,
        profile=_profile(told, reports, known, knees),
    )
    if load.is_nothing or not load.profile.slots:
        return load
    return replace(load, pods=_pods(reports, load, spec))


def is_credible(load: PodLoad | None) -> bool:
    """Whether the figures can be true together (NaN cannot: it compares as false)."""
    return load is not None and (
        0 <= load.running <= load.slots
        and 0 <= load.waiting <= MOST_WAITING
        and (load.capacity_tokens > 0 or load.slots == 0)
        and 0 <= load.tokens_held <= load.capacity_tokens
        and 0 <= load.prompt_tokens_queued <= load.waiting * load.capacity_tokens
        and 0 <= load.mean_prompt <= load.capacity_tokens
        and 0 <= load.mean_output <= load.capacity_tokens
        and load.received >= 0
    )


def _pods(reports: Sequence[PodLoad], load: Load, spec: AutoscalingSpec) -> float:
    """The load in pods. No request fills more than one pod, however long it is."""
    profile, requests = load.profile, load.requests
    if spec.metric == "Concurrency":
        return requests / profile.slots
    queued = sum(report.prompt_tokens_queued for report in reports)
    answers = load.waiting * profile.output
    work = (load.running + load.held) * profile.request + queued + answers / 2
    held = load.held * (profile.prompt + profile.output)
    memory = sum(report.tokens_held for report in reports) + queued + answers + held
    return min(float(requests), max(work / profile.tokens, memory / profile.memory))


def _profile(
    told: Sequence[PodReport], reports: Sequence[PodLoad], known: Profile, knees: Knees
) -> Profile:
    """Averages over what is told; what nothing tells stays as it was known."""
    known = _lengths(reports, known)
    serving = [
        (load, knees.of(pod.revision))
        for pod, load in zip(told, reports, strict=True)
        if load.slots and not load.is_leaving
    ]
    if not serving:
        return known
    each = [_carried(load, knee, known.request) for load, knee in serving]
    count = len(serving)
    return replace(
        known,
        slots=sum(load.slots for load, _ in serving) / count,
        tokens=sum(each) / count,
        memory=sum(load.capacity_tokens for load, _ in serving) * MEMORY_SHARE / count,
    )


def _lengths(reports: Sequence[PodLoad], known: Profile) -> Profile:
    """Lengths of requests, averaged over pods by the work they have."""
    busy = [(r.requests, r) for r in reports if r.mean_prompt > 0 and not r.is_idle]
    requests = sum(weight for weight, _ in busy)
    known = replace(known, service=_service(reports) or known.service)
    if requests:
        prompt = sum(weight * r.mean_prompt for weight, r in busy) / requests
        output = sum(weight * r.mean_output for weight, r in busy) / requests
        return replace(known, prompt=prompt, output=output)
    waiting = sum(r.waiting for r in reports)
    if known.prompt or not waiting:
        return known
    return replace(known, prompt=sum(r.prompt_tokens_queued for r in reports) / waiting)


def _carried(load: PodLoad, knee: float | None, request: float) -> float:
    """Tokens that a pod carries: by its slots, its memory and, where one was seen, its knee."""
    by_slots = load.slots * request
    carried = min(MEMORY_SHARE * load.capacity_tokens, by_slots)
    return carried if knee is None else min(carried, max(knee, by_slots / 2))


def _service(reports: Sequence[PodLoad]) -> float:
    """Seconds that a request holds its slot (Little's law: tokens under way by tokens a second)."""
    busy = [r for r in reports if r.running and r.tokens_per_second > 0]
    pace = sum(r.tokens_per_second for r in busy)
    return sum(r.running * r.mean_output for r in busy) / pace if pace else 0.0
