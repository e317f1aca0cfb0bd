"""The simulated world: requests, pods, nodes and one algorithm, event by event."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from bench.autoscaler_sim.nodes import Nodes
from bench.autoscaler_sim.pod import SLOTS, Pod
from bench.autoscaler_sim.request import Request
from bench.autoscaler_sim.scaler import Scaler
from bench.autoscaler_sim.trace import Trace
from llm_operator.autoscale.observation import Observation, PodReport

MOST_NODES = 60
DRAIN_SECONDS = 300.0
SAMPLE_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
"""After the end of a trace, so long what was begun may still be answered."""


class Turn(Enum):
    """Something that happens by the clock."""

    LOOK = auto()
    SAMPLE = auto()
    NODE = auto()
    FAIL = auto()


Event = Request | tuple[Pod, int | str] | Turn
"""A request comes, a pod gets on (if its version still is that) or has become something, a turn."""


@dataclass(slots=True)
class Sample:
    """One moment, for the plots."""

    at: float
    busy: float
    """Requests there are, in pods' slots."""
    ready: int
    wanted: int


@dataclass(slots=True)
class Outcome:
    """What came out of a run."""

    requests: list[Request] = field(default_factory=list)
    pod_seconds: float = 0.0
    idle_seconds: float = 0.0
    """Of nodes that were ordered, without a pod on them."""
    changes: int = 0
    """Times that another number of pods was wanted."""
    starts: int = 0
    """Pods that were made after the beginning."""
    samples: list[Sample] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Requests whose pod ended in mid-answer."""
        return sum(request.is_lost for request in self.requests)

    @property
    def pod_hours(self) -> float:
        """Hours that pods had a node, ready or not."""
        return self.pod_seconds / 3600

    @property
    def paid_hours(self) -> float:
        """Pod-hours, and the hours of ordered nodes that stood empty."""
        return (self.pod_seconds + self.idle_seconds) / 3600


class World:
    """One run. Pods are removed alike whoever asks: first those that have no node, then those that
    start, then the one with the least work, which drains; a drain is taken back before a new pod is
    made."""

    def __init__(self, trace: Trace, scaler: Scaler) -> None:
        """A cluster with the trace's first pods ready."""
        self.trace, self.scaler = trace, scaler
        self.outcome = Outcome()
        self.nodes = Nodes(trace.standing_nodes, MOST_NODES, Random(trace.seed + 1000))
        self.pods: list[Pod] = []
        self.held: deque[Request] = deque()
        self.held_received = 0
        self.wanted = trace.initial
        self.now = 0.0
        self._numbers = itertools.count()
        self._turn = 0
        self._events: list[tuple[float, int, Event]] = []
        self._turns = {
            Turn.LOOK: self._look,
            Turn.SAMPLE: self._sample,
            Turn.NODE: self._take_node,
            Turn.FAIL: self._fail,
        }

    def run(self) -> Outcome:
        """The whole trace."""
        for _ in range(self.trace.initial):
            pod = self._create()
            pod.ready = True
        arrivals = self.trace.requests()
        self._push_arrival(arrivals)
        self._push(self.scaler.period, Turn.LOOK)
        self._push(0.0, Turn.SAMPLE)
        for at in self.trace.failures:
            self._push(at, Turn.FAIL)
        end = self.trace.seconds + PATIENCE_SECONDS
        while self._events and self._events[0][0] <= end:
            at, _, event = heapq.heappop(self._events)
            self._count_pods(at)
            self.now = at
            self._happen(event, arrivals)
        return self.outcome

    def _count_pods(self, at: float) -> None:
        until = min(at, self.trace.seconds)
        if until > self.now:
            self.outcome.pod_seconds += self.nodes.taken * (until - self.now)
            if self.nodes.empty:
                self.outcome.idle_seconds += self.nodes.idle_seconds(self.now, until)

    def _happen(self, event: Event, arrivals: Iterator[Request]) -> None:
        match event:
            case Request():
                self.outcome.requests.append(event)
                self._send(event)
                self._push_arrival(arrivals)
            case (Pod() as pod, int(version)):
                if version == pod.version:
                    self._advance(pod)
            case (Pod() as pod, "ready"):
                self._become_ready(pod)
            case (Pod() as pod, "drained"):
                self._end_drain(pod)
            case Turn():
                self._turns[event]()

    def _push(self, at: float, event: Event) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), event))

    def _push_arrival(self, arrivals: Iterator[Request]) -> None:
        request = next(arrivals, None)
        if request is not None and request.at < self.trace.seconds:
            self._push(request.at, request)

    # Requests

    def _send(self, request: Request) -> None:
        """Round robin over ready pods, as gRPC clients do; held while there is none."""
        ready = [pod for pod in self.pods if pod.ready and pod.leaving is None]
        if not ready:
            self.held.append(request)
            self.held_received += 1
            return
        self._turn += 1
        pod = ready[self._turn % len(ready)]
        pod.take(request, self.now)
        self._expect(pod)

    def _advance(self, pod: Pod) -> None:
        pod.advance(self.now)
        if pod.leaving is not None and not pod.work:
            self._remove(pod)
        else:
            self._expect(pod)

    def _expect(self, pod: Pod) -> None:
        at = pod.next_change()
        if at is not None:
            self._push(at, (pod, pod.version))

    # Pods

    def _create(self) -> Pod:
        pod = Pod(uid=f"pod-{next(self._numbers)}", made=self.now)
        self.pods.append(pod)
        is_first = self.now == 0.0
        self.outcome.starts += not is_first
        if not self.nodes.place(pod, self.now):
            self._order_node()
        elif not is_first:
            self._start(pod)
        return pod

    def _order_node(self) -> None:
        after = self.nodes.order()
        if after is not None:
            self._push(self.now + after, Turn.NODE)

    def _take_node(self) -> None:
        pod = self.nodes.arrive(self.now)
        if pod is not None:
            self._start(pod)

    def _start(self, pod: Pod) -> None:
        self._push(self.now + self.nodes.start(), (pod, "ready"))

    def _become_ready(self, pod: Pod) -> None:
        if pod not in self.pods:
            return
        pod.ready, pod.told = True, self.now
        waiting, self.held = self.held, deque()
        for request in waiting:
            self._send(request)

    def _remove(self, pod: Pod) -> None:
        self.pods.remove(pod)
        orphans = pod.stop()
        if pod.scheduled is None:
            self.nodes.waiting.remove(pod)
        else:
            follower = self.nodes.free(self.now)
            if follower is not None:
                self._start(follower)
        for request in orphans:
            self._send(request)

    def _fail(self) -> None:
        """The busiest pod's process dies; the pod starts again on its node."""
        ready = [pod for pod in self.pods if pod.ready and pod.leaving is None]
        if ready:
            pod = max(ready, key=lambda pod: pod.work)
            pod.ready = False
            orphans = pod.stop()
            self._start(pod)
            for request in orphans:
                self._send(request)

    # The algorithm

    def _look(self) -> None:
        if self.now < self.trace.seconds:
            self._push(self.now + self.scaler.period, Turn.LOOK)
            wanted = self.scaler.decide(self._observation())
            self.outcome.changes += wanted != self.wanted
            self.wanted = wanted
            self._scale()

    def _observation(self) -> Observation:
        for pod in self.pods:
            if pod.ready:
                pod.elapse(self.now)
        return Observation(
            now=self.now,
            pods=tuple(PodReport(uid=p.uid, load=p.load()) for p in self.pods if p.ready),
            pending=sum(not pod.ready and pod.scheduled is not None for pod in self.pods),
            awaited=tuple(pod.uid for pod in self.pods if not pod.ready),
            unschedulable_since=tuple(pod.made for pod in self.pods if pod.scheduled is None),
            held=len(self.held),
            held_received=self.held_received,
            current=self.wanted,
        )

    def _scale(self) -> None:
        staying = [pod for pod in self.pods if pod.leaving is None]
        for pod in sorted(self._leaving(), key=lambda pod: -pod.work)[: self.wanted - len(staying)]:
            pod.leaving = None
            staying.append(pod)
        for _ in range(self.wanted - len(staying)):
            self._create()
        surplus = sorted(staying, key=_comfort)[: max(0, len(staying) - self.wanted)]
        for pod in surplus:
            self._end(pod)

    def _leaving(self) -> list[Pod]:
        room = self.wanted > sum(pod.leaving is None for pod in self.pods)
        return [pod for pod in self.pods if pod.leaving is not None] if room else []

    def _end(self, pod: Pod) -> None:
        if not pod.ready or not pod.work:
            self._remove(pod)
            return
        pod.leaving = self.now
        self._push(self.now + DRAIN_SECONDS, (pod, "drained"))

    def _end_drain(self, pod: Pod) -> None:
        """The time to drain is over, if it is still the same drain."""
        is_over = pod.leaving is not None and self.now - pod.leaving >= DRAIN_SECONDS - 1e-6
        if is_over and pod in self.pods:
            self._remove(pod)

    def _sample(self) -> None:
        if self.now < self.trace.seconds:
            self._push(self.now + SAMPLE_SECONDS, Turn.SAMPLE)
            work = sum(pod.work for pod in self.pods) + len(self.held)
            ready = sum(pod.ready and pod.leaving is None for pod in self.pods)
            self.outcome.samples.append(Sample(self.now, work / SLOTS, ready, self.wanted))


def _comfort(pod: Pod) -> tuple[bool, bool, int]:
    """Who goes first."""
    return pod.scheduled is not None, pod.ready, pod.work
