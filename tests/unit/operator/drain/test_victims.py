"""Which pod leaves: the idlest, drained first; the ReplicaSet takes what was drained."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.autoscale.signals import PodLoad, PodState
from llm_operator.drain.victims import DRAINED_COST, DRAINING_COST, Candidate, shrink


def load(requests: int = 0, state: PodState = PodState.SERVING) -> PodLoad:
    return PodLoad(
        running=requests,
        waiting=0,
        tokens_held=100 * requests,
        prompt_tokens_queued=0,
        capacity_tokens=4096,
        slots=64,
        state=state,
    )


def serving(uid: str, requests: int = 0) -> Candidate:
    return Candidate(uid=uid, is_ready=True, has_started=True, load=load(requests))


def leaving(uid: str, state: PodState, requests: int = 0, cost: int = DRAINING_COST) -> Candidate:
    pod = serving(uid, requests)
    return replace(pod, is_ready=False, load=load(requests, state), cost=cost)


def starting(uid: str) -> Candidate:
    return Candidate(uid=uid, is_ready=False, has_started=False)


def test_the_pod_with_the_least_work_drains() -> None:
    step = shrink([serving("busy", 3), serving("idle"), serving("half", 1)], 2)
    assert step.drain == ("idle",)
    assert step.costs == {"idle": DRAINING_COST}
    assert step.replicas == 3


def test_pods_that_only_start_go_before_anything_drains() -> None:
    step = shrink([serving("a", 1), starting("new"), serving("b")], 2)
    assert (step.replicas, step.drain, step.undrain) == (2, (), ())


def test_the_deployment_shrinks_only_when_the_drained_pod_is_unready_and_pointed_at() -> None:
    drained = leaving("a", PodState.DRAINED)
    assert shrink([drained, serving("b")], 1).replicas == 2
    assert shrink([drained, serving("b")], 1).costs == {"a": DRAINED_COST}
    pointed_at = replace(drained, cost=DRAINED_COST)
    assert shrink([replace(pointed_at, is_ready=True), serving("b")], 1).replicas == 2
    assert shrink([pointed_at, serving("b")], 1).replicas == 1


def test_a_drained_pod_waits_while_a_sibling_that_starts_would_be_taken_instead() -> None:
    drained = leaving("a", PodState.DRAINED, cost=DRAINED_COST)
    step = shrink([drained, serving("b"), serving("c"), starting("d"), starting("e")], 3)
    assert step.replicas == 3
    assert step.undrain == ("a",)


def test_demand_that_returns_in_mid_drain_takes_the_drain_back() -> None:
    step = shrink([leaving("a", PodState.LAME_DUCK), serving("b")], 2)
    assert step.undrain == ("a",)
    assert step.costs == {"a": 0}
    assert step.replicas == 2


def test_of_two_that_leave_the_one_that_got_further_goes_on() -> None:
    pods = [leaving("a", PodState.DRAINING, 4), leaving("b", PodState.DRAINED), serving("c")]
    assert shrink(pods, 2).undrain == ("a",)


def test_a_victim_whose_sibling_was_taken_comes_back() -> None:
    step = shrink([leaving("a", PodState.DRAINED, cost=DRAINED_COST)], 1)
    assert step.undrain == ("a",)
    assert step.costs == {"a": 0}


def test_a_pod_that_cannot_be_asked_is_pointed_at_and_ended_in_order() -> None:
    deaf = Candidate(uid="deaf", is_ready=True, has_started=True)
    first = shrink([deaf], 0)
    assert (first.drain, first.costs, first.replicas) == ((), {"deaf": DRAINED_COST}, 1)
    assert shrink([replace(deaf, cost=DRAINED_COST)], 0).replicas == 0


def test_nobody_is_chosen_before_every_pod_has_had_the_time_to_report() -> None:
    new = Candidate(uid="new", is_ready=True, has_started=True, is_awaited=True)
    step = shrink([serving("busy", 9), new], 1)
    assert (step.drain, dict(step.costs), step.replicas) == ((), {}, 2)
    assert step.is_waiting
    heard = shrink([serving("busy", 9), serving("new")], 1)
    assert (heard.drain, heard.is_waiting) == (("new",), False)


@pytest.mark.parametrize("cost", [DRAINING_COST, DRAINED_COST])
def test_a_new_leader_does_not_take_a_pod_that_drains_for_a_deaf_one(cost: int) -> None:
    unknown = Candidate(uid="a", is_ready=False, has_started=True, is_awaited=True, cost=cost)
    step = shrink([unknown, serving("b"), serving("c")], 2)
    assert (step.drain, dict(step.costs), step.replicas) == ((), {}, 3)
    known = leaving("a", PodState.DRAINING, 2)
    step = shrink([known, serving("b"), serving("c")], 2)
    assert (step.drain, dict(step.costs), step.replicas) == ((), {}, 3)


def test_pods_that_only_start_go_without_any_report() -> None:
    new = Candidate(uid="new", is_ready=True, has_started=True, is_awaited=True)
    step = shrink([new, starting("a")], 1)
    assert (step.replicas, step.is_waiting) == (1, False)


def test_a_pod_that_cannot_be_asked_is_taken_last() -> None:
    deaf = Candidate(uid="deaf", is_ready=True, has_started=True)
    assert shrink([deaf, serving("busy", 9)], 1).drain == ("busy",)


def test_pods_of_a_node_that_is_being_emptied_drain_first() -> None:
    there = replace(serving("there", 9), is_on_leaving_node=True)
    assert shrink([serving("idle"), there], 1).drain == ("there",)


def test_nothing_is_asked_of_pods_that_are_as_many_as_wanted() -> None:
    step = shrink([serving("a"), starting("b")], 2)
    assert (step.replicas, step.drain, step.undrain, dict(step.costs)) == (2, (), (), {})


@pytest.mark.parametrize("there", [0, 2])
def test_pods_that_are_missing_lower_no_wish(there: int) -> None:
    step = shrink([serving(str(n)) for n in range(there)], 5)
    assert (step.replicas, step.drain, step.undrain, dict(step.costs)) == (5, (), (), {})


# A small world: pods that do what they are asked, the ReplicaSet controller's own ranking, and a
# quota that may keep it from making pods.


@dataclass(frozen=True, slots=True)
class Fleet:
    pods: tuple[Candidate, ...]
    lost: int = 0
    """Requests that a pod held when it was taken."""
    made: int = 0
    """Pods that the ReplicaSet made."""

    def after(self, wanted: int, quota: int = 0) -> "Fleet":
        step = shrink(self.pods, wanted)
        assert wanted <= step.replicas <= max(wanted, len(self.pods))
        asked = [self._asked(pod, step.drain, step.undrain, dict(step.costs)) for pod in self.pods]
        taken = sorted(asked, key=rank)[: max(0, len(asked) - step.replicas)]
        lost = self.lost + sum(pod.load.running for pod in taken if pod.load is not None)
        kept = [_later(pod) for pod in asked if pod not in taken]
        more = max(0, min(step.replicas, quota) - len(kept))
        new = [starting(f"new{self.made + n}") for n in range(more)]
        return Fleet((*kept, *new), lost, self.made + more)

    @staticmethod
    def _asked(
        pod: Candidate, drain: tuple[str, ...], undrain: tuple[str, ...], costs: dict[str, int]
    ) -> Candidate:
        pod = replace(pod, cost=costs.get(pod.uid, pod.cost))
        if pod.load is None:
            return pod
        if pod.uid in drain:
            assert not pod.is_awaited
            return replace(pod, load=replace(pod.load, state=PodState.LAME_DUCK))
        if pod.uid in undrain:
            return replace(pod, load=replace(pod.load, state=PodState.SERVING))
        return pod


def rank(pod: Candidate) -> tuple[bool, bool, int]:
    """What a ReplicaSet takes first (kubernetes pkg/controller, ActivePodsWithRanks)."""
    return (pod.has_started, pod.is_ready, pod.cost)


def _later(pod: Candidate) -> Candidate:
    """Pods start, generations end, states move on, readiness follows."""
    if not pod.has_started:
        return serving(pod.uid) if pod.uid.startswith("new") else pod
    if pod.load is None:
        return pod
    running = max(0, pod.load.running - 1)
    state = pod.load.state
    if state is PodState.LAME_DUCK:
        state = PodState.DRAINING
    elif state is PodState.DRAINING and not running:
        state = PodState.DRAINED
    aged = replace(pod.load, running=running, tokens_held=100 * running, state=state)
    return replace(pod, load=aged, is_ready=state is PodState.SERVING, is_awaited=False)


any_pod = st.builds(
    lambda kind, requests: {
        "serving": serving("?", requests),
        "starting": starting("?"),
        "lame": leaving("?", PodState.LAME_DUCK, requests),
        "drained": leaving("?", PodState.DRAINED),
        "awaited": replace(serving("?", requests), is_awaited=True),
    }[kind],
    st.sampled_from(["serving", "serving", "starting", "lame", "drained", "awaited"]),
    st.integers(0, 5),
)


@given(pods=st.lists(any_pod, max_size=8), wanted=st.integers(0, 8))
def test_whatever_is_there_the_fleet_settles_and_loses_no_request(
    pods: list[Candidate], wanted: int
) -> None:
    fleet = Fleet(tuple(replace(pod, uid=str(n)) for n, pod in enumerate(pods)))
    for _ in range(40):
        fleet = fleet.after(wanted)
    assert len(fleet.pods) == min(wanted, len(pods))
    assert not any(pod.is_leaving for pod in fleet.pods)
    assert fleet.lost == 0


@given(
    pods=st.lists(any_pod, min_size=1, max_size=8),
    wishes=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    quota=st.integers(0, 10),
)
def test_wishes_that_change_in_mid_drain_or_while_pods_are_missing_lose_no_request(
    pods: list[Candidate], wishes: list[int], quota: int
) -> None:
    fleet = Fleet(tuple(replace(pod, uid=str(n)) for n, pod in enumerate(pods)))
    for wanted in wishes:
        fleet = fleet.after(wanted, quota)
    assert fleet.lost == 0


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_settled_fleet_is_left_alone(wanted: int) -> None:
    step = shrink([serving(str(n)) for n in range(wanted)], wanted)
    assert (step.replicas, step.drain, step.undrain, dict(step.costs)) == (wanted, (), (), {})
