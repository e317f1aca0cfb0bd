"""Which pods drain, which come back, and how many the Deployment may lose now. Pure.

A ReplicaSet that has to shrink takes pods that have no node first, then pending ones, then those
that are not ready, and among equals the one with the lowest deletion cost; ready pods come last
(pod ranking of the ReplicaSet controller). So a drained pod, which is not ready, goes before every
pod that serves, but after siblings that only start. Hence the order: siblings that start go first,
then pods are drained, and the Deployment shrinks by no more than the pods that start or are
drained.

Nothing is remembered: what a pod does is read from its own report, so a pod that drains is a pod
that leaves, whoever asked for it and whichever operator runs now. So nobody is chosen before every
pod has had the time to report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_operator.autoscale.signals import PodLoad, PodState

DRAINING_COST = 1000
"""Of a pod that still has generations: after siblings that start, should one be there."""
DRAINED_COST = -1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One pod of the Deployment that is to shrink, as far as this decision goes."""

    uid: str
    is_ready: bool
    has_started: bool
    """Whether it was ever ready: one that was not only starts."""
    is_on_leaving_node: bool = False
    load: PodLoad | None = None
    is_awaited: bool = False
    """Without a load for so short a time that its report may just be on its way."""
    cost: int = 0
    """The deletion cost that it carries now."""
    age_seconds: float = 0.0

    @property
    def is_leaving(self) -> bool:
        return self.load is not None and self.load.is_leaving

    @property
    def is_drained(self) -> bool:
        return self.load is not None and self.load.state is PodState.DRAINED

    @property
    def work(self) -> int:
        """Tokens that are held or wait: what a drain has to wait for."""
        return self.load.tokens_held + self.load.prompt_tokens_queued if self.load else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrinking:
    """What to do now; the rest follows when that is seen."""

    replicas: int
    """Of the Deployment: never fewer than are wanted, even while pods are missing."""
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    costs: Mapping[str, int]
    """Deletion costs that pods should carry and do not."""
    is_waiting: bool = False
    """Whether more has to leave, and nobody is chosen before awaited pods have reported."""


def shrink(candidates: Sequence[Candidate], wanted: int) -> Shrinking:
    """The next step from these pods to `wanted` of them.

    >>> busy, idle = (Candidate(uid=u, is_ready=True, has_started=True, load=l) for u, l in ...)
    >>> shrink([busy, idle], 1).drain                                            # doctest: +SKIP
    ('idle',)
    """
    starting = [pod for pod in candidates if not pod.has_started and not pod.is_leaving]
    running = [pod for pod in candidates if pod.has_started or pod.is_leaving]
    too_many = max(0, len(candidates) - wanted)
    without_start = min(too_many, len(starting))
    to_drain = too_many - without_start
    leaving = sorted((pod for pod in running if _is_going(pod)), key=_furthest_first)
    stay, go_back = leaving[:to_drain], leaving[to_drain:]
    missing = to_drain - len(stay)
    is_waiting = missing > 0 and any(pod.is_awaited for pod in running)
    chosen = sorted((pod for pod in running if not _is_going(pod)), key=_least_work_first)
    more = [] if is_waiting else chosen[:missing]
    costs = _costs(candidates, {pod.uid for pod in (*stay, *more)})
    ready_to_go = sum(_can_go(pod) for pod in stay) if without_start == len(starting) else 0
    # A pod whose cost is still to be written goes in the next step: the cost points at it.
    return Shrinking(
        replicas=max(wanted, len(candidates) - without_start - ready_to_go),
        drain=tuple(pod.uid for pod in more if pod.load is not None),
        undrain=tuple(pod.uid for pod in go_back if pod.load is not None),
        costs=costs,
        is_waiting=is_waiting,
    )


def _is_going(pod: Candidate) -> bool:
    """Asked to drain, or pointed at because it cannot be asked."""
    return pod.is_leaving or (pod.load is None and pod.cost == DRAINED_COST)


def _can_go(pod: Candidate) -> bool:
    """Drained and seen to be unready; or deaf to us, so that the end of the process drains it."""
    if pod.cost != DRAINED_COST or pod.is_awaited:
        return False
    return pod.load is None or (pod.is_drained and not pod.is_ready)


def _costs(candidates: Sequence[Candidate], leaving: set[str]) -> dict[str, int]:
    known = [pod for pod in candidates if not pod.is_awaited]
    wished = {pod.uid: _cost(pod, pod.uid in leaving) for pod in known}
    return {pod.uid: wished[pod.uid] for pod in known if wished[pod.uid] != pod.cost}


def _cost(pod: Candidate, is_leaving: bool) -> int:
    if not is_leaving:
        return 0
    return DRAINED_COST if pod.is_drained or pod.load is None else DRAINING_COST


_PROGRESS = {PodState.DRAINED: 0, PodState.DRAINING: 1, PodState.LAME_DUCK: 2}


def _furthest_first(pod: Candidate) -> tuple[bool, int, int, str]:
    state = pod.load.state if pod.load is not None else PodState.DRAINED
    return (not pod.is_on_leaving_node, _PROGRESS.get(state, 0), pod.work, pod.uid)


def _least_work_first(pod: Candidate) -> tuple[bool, bool, bool, int, int, float, str]:
    """Pods of nodes that are being emptied first, then pods that serve nobody, then the idlest, of
    equals the youngest. One that reports nothing comes last: it may be busy."""
    load = pod.load
    requests = load.requests if load else 0
    order = (not pod.is_on_leaving_node, pod.is_ready, load is None)
    return (*order, requests, pod.work, pod.age_seconds, pod.uid)
