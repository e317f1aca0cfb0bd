"""Pods that lie, hang, restart or vanish: none scales the wrong way."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_operator.autoscale.decide import ConditionReason, DecisionReason
from llm_operator.autoscale.demand import MOST_WAITING, is_credible
from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.observation import PodReport
from support.fleet import Course, autoscaling, load, pod, silent, spread

AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}

LIES: list[dict[str, Any]] = [
    {"running": -1},
    {"running": 5},
    {"waiting": -3},
    {"waiting": MOST_WAITING + 1},
    {"waiting": 1 << 24, "prompt_tokens_queued": 1 << 40},
    {"tokens_held": -1},
    {"tokens_held": 1 << 40},
    {"prompt_tokens_queued": -1},
    {"prompt_tokens_queued": 1 << 40},
    {"mean_prompt": math.nan},
    {"mean_prompt": -1.0},
    {"mean_prompt": math.inf},
    {"mean_output": math.nan},
    {"mean_output": 1e12},
    {"received": -1},
    {"capacity_tokens": 0, "tokens_held": 0, "mean_prompt": 0, "mean_output": 0},
]


def three_and(other: PodReport) -> tuple[PodReport, ...]:
    return (*spread(9, 3), other)


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_report_that_cannot_be_true_is_no_report(lie: dict[str, Any]) -> None:
    assert is_credible(load(3))
    assert not is_credible(load(3, **lie))


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_a_pod_that_lies_moves_nothing(lie: dict[str, Any]) -> None:
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay(three_and(pod(9, 3, **lie)), 300, step=5)
    assert course.current == 4


@pytest.mark.parametrize(
    "lie", [{"first_token_p90": 1e9}, {"inter_token_p90": math.nan}, {"tokens_per_second": 1e300}]
)
def test_latencies_that_one_pod_invents_move_nothing(lie: dict[str, Any]) -> None:
    targets = {"timeToFirstTokenP90": "1s", "interTokenLatencyP90": "100ms"}
    course = Course(autoscaling(targets=targets, minReplicas=4), 4)
    course.stay(three_and(pod(9, 3, **lie)), 300, step=5)
    assert course.current == 4


def test_a_pod_that_hangs_counts_as_idle_upwards_and_as_full_downwards() -> None:
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay(three_and(silent(9)), 600, step=5)
    assert course.current == 4
    course.stay((*spread(2, 3), silent(9)), 600, step=5)
    assert course.current == 2


def test_most_pods_silent_holds_what_there_is() -> None:
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(4, 4), 30)
    pods = (pod(0, 0), silent(1), silent(2), silent(3))
    decision = course.stay(pods, 1000, step=5)
    assert decision.desired == 4
    assert decision.reason is DecisionReason.METRICS_UNAVAILABLE
    assert not decision.condition.is_true
    assert decision.condition.reason is ConditionReason.METRICS_UNAVAILABLE


def test_all_metrics_lost_holds_what_there_is_and_recovers() -> None:
    course = Course(autoscaling(**AT_ONCE), 3)
    course.stay(spread(9, 3), 200, step=5)
    course.stay([silent(i) for i in range(3)], 3000, step=10)
    assert course.current == 3
    course.stay(spread(9, 3), 200, step=5)
    assert course.current == 3
    assert course.history[-1].condition.is_true


def test_bounds_hold_in_the_dark_too() -> None:
    course = Course(autoscaling(), 6)
    course.stay([silent(i) for i in range(6)], 30)
    course.spec = autoscaling(maxReplicas=4)
    assert course.look([silent(i) for i in range(6)]).desired == 4


def test_metrics_that_come_back_one_by_one_do_not_scale_down() -> None:
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay([silent(i) for i in range(4)], 100)
    for told in range(1, 5):
        seen = [pod(i, 3) if i < told else silent(i) for i in range(4)]
        course.stay(seen, 20)
        assert course.current == 4


def test_pods_that_all_restart_with_counters_at_zero_are_neither_idle_nor_a_burst() -> None:
    course = Course(autoscaling(minReplicas=0, scaleToZero={"afterSeconds": 60}), 3)
    busy = [pod(i, 3, received=1000) for i in range(3)]
    course.stay(busy, 200, step=5)
    course.stay((), 30, pending=3)
    assert course.current == 3
    course.stay([pod(i, 0, received=0) for i in range(3)], 55)
    assert course.current == 3
    course.stay([pod(i, 3, received=3) for i in range(3)], 200, step=5)
    assert {decision.desired for decision in course.history} == {3}


def test_counters_that_start_over_bring_no_pods() -> None:
    course = Course(autoscaling(), 3)
    course.stay([pod(i, 3, received=10**9) for i in range(3)], 100)
    course.stay([pod(i, 3, received=i) for i in range(3)], 100)
    course.stay([pod(i, 3, received=10**9) for i in range(3)], 100)
    assert course.current == 3


def test_one_unready_pod_does_not_break_the_metric() -> None:
    course = Course(autoscaling(), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay(spread(12, 3), 60, pending=1)
    assert course.current in (4, 5)
    course.stay(spread(12, 4), 100)
    assert course.current in (4, 5)


def test_no_pod_ready_holds_what_there_is() -> None:
    course = Course(autoscaling(minReplicas=0, scaleToZero={"afterSeconds": 5}, **AT_ONCE), 3)
    decision = course.stay((), 3000, step=10, pending=3)
    assert decision.desired == 3
    assert decision.reason is DecisionReason.NO_POD_READY


def test_a_pod_that_is_gone_leaves_no_series_behind() -> None:
    """llm-d-autoscaling#368: the last figures of deleted pods went on oscillating the count."""
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay(spread(3, 1, first=100), 400, step=5)
    assert course.current <= 2
    memory = course.memory
    assert set(memory.quiet.received) == {"pod-100"}
    assert set(memory.arrivals.counted or ()) == {"pod-100"}
    assert set(memory.startups.since or ()) == {"pod-100"}


def test_noise_around_a_boundary_does_not_flip_the_count() -> None:
    """llm-d-autoscaling#1427: desired jumped with every sync."""
    course = Course(autoscaling(), 3)
    for i in range(2000):
        course.look(spread(7 if i % 2 else 6, course.current), 1)
    assert len({d.desired for d in course.history[400:]}) == 1


def test_noise_writes_no_status() -> None:
    course = Course(autoscaling(), 3)
    for i in range(2000):
        course.look(spread(7 if i % 3 else 5, course.current), 1)
    told = {(d.desired, d.reason, d.message, str(d.inputs)) for d in course.history[400:]}
    assert len(told) == 1


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_restart_rewrites_no_status_of_what_has_converged(story: list[int], current: int) -> None:
    course = Course(autoscaling(maxReplicas=6), current)
    for requests in story:
        course.serve(requests, 1500, step=5)
    before = course.history[-1]
    shown = course.memory.shown
    course.memory = Memory.after_restart(course.current, course.now, shown.reason, shown.message)
    course.history.clear()
    course.serve(story[-1], 1500, step=5)
    told = {(d.desired, d.reason, d.message) for d in course.history}
    assert told == {(before.desired, before.reason, before.message)}


def test_the_maximum_is_told_at_once() -> None:
    course = Course(autoscaling(maxReplicas=4), 4)
    course.stay(spread(8, 4), 200, step=5)
    assert course.stay(spread(60, 4), 10).reason is DecisionReason.AT_MAXIMUM


def test_a_lie_about_capacity_of_one_pod_does_not_end_the_others() -> None:
    course = Course(autoscaling(**AT_ONCE), 4)
    course.stay(spread(12, 4), 200, step=5)
    course.stay(three_and(pod(9, 3, slots=4, capacity_tokens=1 << 40)), 200, step=5)
    assert course.current == 4


def test_memory_stays_small_over_days() -> None:
    course = Course(autoscaling(maxReplicas=50), 2)
    for i in range(5_000):
        course.look(spread(i * 7 % 60, course.current, first=i // 10), 5)
        course.history.clear()
    memory = course.memory
    assert len(memory.stable.area.points) < 40
    assert len(memory.wanted_high.seen) <= 60
    assert len(memory.startups.took) <= 20
    assert len(memory.quiet.received) <= 50


def test_a_new_process_of_a_pod_that_reports_nothing_is_not_believed_idle() -> None:
    course = Course(autoscaling(minReplicas=0, scaleToZero={"afterSeconds": 30}))
    course.stay([silent(0)], 600)
    assert course.current == 1


def test_two_leaders_that_see_the_same_decide_the_same() -> None:
    one, two = Course(autoscaling(), 2), Course(autoscaling(), 2)
    for i in range(300):
        seen = spread(i % 11, one.current)
        assert one.look(seen) == two.look(seen)


def test_a_pod_that_serves_and_says_that_it_holds_no_token_is_not_divided_by() -> None:
    empty = load(3, capacity_tokens=0, tokens_held=0, mean_prompt=0, mean_output=0)
    decision = Course(current=1).look([PodReport(uid="pod-0", load=empty)])
    assert decision.reason is DecisionReason.METRICS_UNAVAILABLE
