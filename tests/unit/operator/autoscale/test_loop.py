"""When the autoscaler looks, and whom it wakes. The loop's clock is moved by hand."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.loop import BREATH_SECONDS, Autoscaler, Subject
from llm_operator.autoscale.observation import Limits
from llm_operator.autoscale.reading import Standing
from llm_operator.autoscale.reason import ConditionReason, DecisionReason
from llm_operator.autoscale.signals import (
    FIRST_WORD_SECONDS,
    HeldCalls,
    PodLoad,
    PodState,
    Silence,
)
from llm_operator.control.loads import Held, Loads
from llm_operator.kube.store import Key
from support import worlds

KEY = Key("default", "demo")


@dataclass
class Place:
    """Pods, loads and held calls of one LLMDeployment, and a clock."""

    loads: dict[str, PodLoad] = field(default_factory=dict)
    silent: dict[str, Silence] = field(default_factory=dict)
    held: HeldCalls = field(default_factory=HeldCalls)
    woken: list[Key] = field(default_factory=list)
    now: float = worlds.NOW.timestamp()

    def of(self, _key: Key) -> dict[str, PodLoad]:
        return self.loads

    def ages(self, _key: Key) -> dict[str, float]:
        return dict.fromkeys(self.loads, 0.0)

    def silences(self, _key: Key) -> dict[str, Silence]:
        return self.silent

    def pods(self, _key: Key) -> list[dict[str, Any]]:
        ready = [{"type": "Ready", "status": "True"}]
        return [
            {"metadata": metadata(u), "status": {"conditions": ready}}
            for u in {**self.loads, **self.silent}
        ]


def metadata(uid: str) -> dict[str, str]:
    return {"uid": uid, "creationTimestamp": "2027-01-01T11:00:00Z"}


class Activators:
    def __init__(self, place: Place) -> None:
        self._place = place

    def of(self, _key: Key) -> HeldCalls:
        return self._place.held


@pytest.fixture
def place() -> Place:
    return Place(loads={"a": worlds.load(1)})


@pytest.fixture
def autoscaler(place: Place) -> Iterator[Autoscaler]:
    made = Autoscaler(
        loads=cast(Loads, place),
        held=cast(Held, Activators(place)),
        runtime_pods=place.pods,
        wake=place.woken.append,
        now=lambda: place.now,
    )
    yield made
    made.reset()


def a_subject(
    current: int = 1,
    reason: DecisionReason = DecisionReason.STEADY,
    message: str = "",
    **spec: Any,
) -> Subject:
    whole = AutoscalingSpec.model_validate({"maxReplicas": 8, **spec})
    standing = Standing(current=current, replicas=current, reason=reason, message=message)
    return Subject(whole, Limits(capacity_timeout=900), standing)


def due(autoscaler: Autoscaler) -> float | None:
    """Seconds until the next look."""
    timer = autoscaler._courses[KEY].timer
    return None if timer is None else timer.when() - asyncio.get_running_loop().time()


def look(autoscaler: Autoscaler) -> None:
    """The timer fires now."""
    timer = autoscaler._courses[KEY].timer
    if timer is not None:
        timer.cancel()
    cast(Callable[[Key], None], autoscaler._look)(KEY)


async def test_a_burst_wakes_the_reconcile(autoscaler: Autoscaler, place: Place) -> None:
    autoscaler.decide(KEY, a_subject())
    before, after = place.loads["a"], worlds.load(40)
    place.loads["a"] = after
    autoscaler.heard(KEY, before, after)
    assert due(autoscaler) == pytest.approx(BREATH_SECONDS, abs=0.1)
    for _ in range(8):
        place.now += 0.5
        look(autoscaler)
    assert place.woken
    assert autoscaler.decide(KEY, a_subject()).desired == 8


async def test_a_decision_starts_from_the_one_that_was_acted_on(
    autoscaler: Autoscaler, place: Place
) -> None:
    """However many looks were between them: the sentences of status follow on each other."""
    for _ in range(100):
        place.now += 1
        autoscaler.decide(KEY, a_subject())
    place.loads["a"] = worlds.load(20)
    for _ in range(6):
        place.now += 0.2
        look(autoscaler)
    first = autoscaler.decide(KEY, a_subject())
    for _ in range(9):
        place.now += 0.2
        look(autoscaler)
    second = autoscaler.decide(KEY, a_subject(current=first.desired))
    assert first.message.startswith(f"Scaled from 1 to {first.desired} pods")
    assert second.message.startswith(f"Scaled from {first.desired} to {second.desired} pods")


async def test_news_does_not_put_off_a_look_that_is_overdue(
    autoscaler: Autoscaler, place: Place
) -> None:
    """However many messages a busy leader reads before it comes to its timers."""
    autoscaler.decide(KEY, a_subject())
    loop = asyncio.get_running_loop()
    overdue = autoscaler._courses[KEY].timer = loop.call_at(loop.time() - 1, lambda: None)
    autoscaler.heard(KEY, worlds.load(2), worlds.load(3))
    assert autoscaler._courses[KEY].timer is overdue
    assert not overdue.cancelled()


async def test_a_repetition_brings_no_look_forward(autoscaler: Autoscaler, place: Place) -> None:
    place.loads["a"] = worlds.load(0)
    autoscaler.decide(KEY, a_subject())
    planned = due(autoscaler)
    autoscaler.heard(KEY, worlds.load(0), worlds.load(0))
    assert due(autoscaler) == (planned if planned is None else pytest.approx(planned, abs=0.1))
    assert place.woken == []


async def test_a_drain_that_moves_wakes_whoever_scales(
    autoscaler: Autoscaler, place: Place
) -> None:
    autoscaler.heard(KEY, worlds.load(), worlds.load(state=PodState.LAME_DUCK))
    assert place.woken == [KEY]


async def test_held_calls_are_looked_at_at_once(autoscaler: Autoscaler, place: Place) -> None:
    place.loads = {}
    autoscaler.decide(KEY, a_subject(current=0, minReplicas=0))
    place.held = HeldCalls(calls=1, received=1)
    autoscaler.held_changed(KEY)
    assert due(autoscaler) == pytest.approx(0.0, abs=0.1)
    look(autoscaler)
    assert place.woken == [KEY]


async def test_a_held_call_starts_a_pod_at_once_and_says_so_whatever_the_windows(
    autoscaler: Autoscaler, place: Place
) -> None:
    """The look that heard of it has seen it already when the reconcile decides."""
    windows: dict[str, Any] = {"minReplicas": 0, "scaleUp": {"stabilizationWindowSeconds": 60}}
    for requests in (1, 0):  # what a pod is like is known from its last life
        place.loads = {"a": worlds.load(requests)}
        for _ in range(200):
            place.now += 5
            autoscaler.decide(KEY, a_subject(**windows))
    place.loads, subject = {}, a_subject(current=0, **windows)
    place.now += 5
    assert autoscaler.decide(KEY, subject).desired == 0
    place.held = HeldCalls(calls=1, received=1)
    autoscaler.held_changed(KEY)
    look(autoscaler)
    place.now += 0.01
    decision = autoscaler.decide(KEY, subject)
    assert (decision.desired, decision.reason) == (1, DecisionReason.CALLS_HELD)


async def test_what_is_forgotten_has_no_timer_left(autoscaler: Autoscaler) -> None:
    autoscaler.decide(KEY, a_subject())
    autoscaler.forget(KEY)
    autoscaler.heard(KEY, None, worlds.load(1))
    autoscaler.held_changed(KEY)
    assert autoscaler._courses == {}


async def test_a_new_leader_does_not_scale_down_on_what_it_has_not_seen(
    autoscaler: Autoscaler, place: Place
) -> None:
    place.loads = {uid: worlds.load(0) for uid in "abc"}
    subject = a_subject(current=3, scaleDown={"stabilizationWindowSeconds": 0})
    assert autoscaler.decide(KEY, subject).desired == 3
    place.now += 10
    assert autoscaler.decide(KEY, subject).desired == 3


async def test_a_new_leader_says_what_status_says_while_it_holds(
    autoscaler: Autoscaler, place: Place
) -> None:
    """What a converged object says is not written again."""
    place.loads = {uid: worlds.load(3) for uid in "ab"}
    sentence = "Scaled from 1 to 2 pods: as it was then."
    subject = a_subject(current=2, reason=DecisionReason.BURST, message=sentence)
    for _ in range(200):
        decision = autoscaler.decide(KEY, subject)
        assert (decision.reason, decision.message) == (DecisionReason.BURST, sentence)
        place.now += 2


async def test_a_new_leader_that_status_tells_nothing_says_what_it_sees(
    autoscaler: Autoscaler, place: Place
) -> None:
    """ "The load fits" was never established."""
    place.loads = {uid: worlds.load(15) for uid in "abcd"}
    decision = autoscaler.decide(KEY, a_subject(current=4, maxReplicas=4))
    assert decision.reason is DecisionReason.AT_MAXIMUM
    assert decision.message == (
        "Keeping 4 pods: the load asks for more than maxReplicas (4) allows."
    )


async def test_a_pod_that_has_just_begun_is_not_one_that_is_silent(
    autoscaler: Autoscaler, place: Place
) -> None:
    place.silent = {"new": Silence(0.5, is_first=True)}
    decision = autoscaler.decide(KEY, a_subject(current=2))
    assert decision.condition.reason is ConditionReason.SCALING_ACTIVE
    assert 0 < (due(autoscaler) or 0) <= FIRST_WORD_SECONDS
    place.silent = {"new": Silence(60.0, is_first=True)}
    place.loads = {}
    place.now += 60
    look(autoscaler)
    assert place.woken == [KEY]
    blind = autoscaler.decide(KEY, a_subject(current=2)).condition
    assert blind.reason is ConditionReason.METRICS_UNAVAILABLE
