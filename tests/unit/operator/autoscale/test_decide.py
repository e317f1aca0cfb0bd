"""How many pods there should be, situation by situation."""

import itertools
from typing import Any

import pytest

from llm_operator.autoscale.decide import ConditionReason, DecisionReason, Limits
from llm_operator.autoscale.observation import PodReport
from support.fleet import START, Course, autoscaling, leaving, pod, silent, spread

AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


def settled(current: int = 1, requests: int = 0, **spec: Any) -> Course:
    """A course that has seen so many requests for long enough to have left its start behind."""
    course = Course(autoscaling(**spec), current)
    course.stay(spread(requests, current), 400, step=5)
    assert course.current == current
    return course


# Upwards


@pytest.mark.parametrize(("before", "after", "pods"), [(3, 30, 9), (1, 10, 3), (2, 20, 6)])
def test_ten_times_the_streams_bring_the_right_count_within_four_seconds(
    before: int, after: int, pods: int
) -> None:
    """ceil(streams / (85 % of four slots)), and not a pod more while they start."""
    course = settled(1, before)
    course.stay(spread(after, 1), 3.5, step=0.5)
    assert course.current == pods
    course.stay(spread(after, 1), 60, step=0.5, pending=pods - 1)
    assert course.current == pods


def test_a_sudden_load_of_a_hundred_pods_is_followed_in_a_few_raises() -> None:
    """Each look sees the mean of the short window a little higher."""
    course = settled(1, 3, maxReplicas=200)
    course.stay(spread(340, 1), 4, step=0.1)
    assert course.current == 100
    counts = [decision.desired for decision in course.history[-40:]]
    assert len(set(counts)) <= 8


def test_calls_on_their_way_through_an_activator_are_their_pods_load_and_no_more() -> None:
    """Eight requests are three pods of four slots, whoever they came through."""
    course = settled(3, 8)
    course.stay(spread(8, 3), 120, forwarding=8)
    assert course.current == 3


def test_a_load_of_exactly_so_many_pods_needs_no_further_one() -> None:
    course = settled(1, 3, targets={"utilization": 75})
    assert course.current == 1


def test_a_slow_rise_is_followed_over_the_stable_window() -> None:
    course = settled(2, 6)
    course.stay(spread(8, 2), 20)
    assert course.current == 2
    course.stay(spread(8, 2), 60)
    assert course.current == 3
    assert course.history[-1].reason is DecisionReason.DEMAND_ROSE


def test_a_queue_that_lasts_is_answered_from_the_short_window() -> None:
    course = settled(3, 9)
    decision = course.stay(spread(15, 3), 4, step=0.5)
    assert decision.desired == 5
    assert decision.reason is DecisionReason.BURST


def test_pods_that_start_are_not_asked_for_again() -> None:
    """The pending cascade: two, four, eight, sixteen while the first ones load."""
    course = settled(1, 3)
    wanted = course.stay(spread(12, 1), 10).desired
    for pending in (wanted - 1, wanted - 1, 1, 1):
        course.stay(spread(12, wanted - pending), 30, pending=pending)
    assert wanted == 4
    assert {decision.desired for decision in course.history[-100:]} == {4}


def test_a_queue_that_grows_while_pods_start_does_not_multiply_them() -> None:
    """8 requests/s that take 4 s fill 8 pods; a minute's backlog would ask for over a hundred."""
    course = Course(autoscaling(maxReplicas=200), 2)
    received, waiting = 100, 0
    for second in range(120):
        burst = second >= 60
        received += 8 if burst else 1
        waiting += 6 if burst else 0
        busy = pod(0, 4 + waiting, received=received, tokens_per_second=200.0)
        course.look([busy, pod(1)], pending=course.current - 2)
    assert waiting > 300
    assert 8 <= course.current <= 20


def test_long_prompts_weigh_more_than_short_ones() -> None:
    short, long = settled(4, 12), settled(4, 12)
    short.stay(spread(24, 4), 5)
    heavy = [pod(i, 6, prompt_tokens_queued=2 * 400) for i in range(4)]
    long.stay(heavy, 5)
    assert long.current > short.current


def test_concurrency_counts_requests_alike() -> None:
    course = settled(4, 12, metric="Concurrency")
    course.stay([pod(i, 6, prompt_tokens_queued=2 * 400) for i in range(4)], 5)
    assert course.current == 8


def test_memory_that_ends_before_the_slots_counts() -> None:
    """1,600 tokens of 2,000 held by two of eight requests: one pod is full."""
    full = pod(0, 2, slots=8, capacity_tokens=2000, tokens_held=1600, mean_prompt=700)
    course = Course(autoscaling())
    course.stay([full], 120)
    assert course.current == 2


# Average against total (AIBrix's first defect)


def test_four_pods_at_ninety_per_cent_of_a_target_of_fifty_are_too_few() -> None:
    course = settled(4, 8, targets={"utilization": 50})
    course.stay(spread(16, 4), 90)
    assert course.current == 8


# What queues up and is cleared: a pod that runs four answers at 80 tokens/s needs 10 s for each.


def test_pods_that_a_queue_alone_asked_for_go_when_it_is_gone() -> None:
    """One request comes a second, and 400 wait from before: for the load itself few are enough."""
    course = Course(current=20)
    for second in range(300):
        told = {"received": 1000 + second // 4, "tokens_per_second": 80.0}
        few = [pod(i, 104, **told) for i in range(4)]
        assert course.look(few, pending=16).desired == 20
    rest = [pod(i, 1, received=1075, tokens_per_second=20.0) for i in range(4)]
    assert course.stay([*rest, *(pod(i) for i in range(4, 20))], 150).desired < 10


def test_no_pod_goes_that_the_queue_still_needs() -> None:
    course = Course(current=20)
    for second in range(500):
        told = {"received": 1000 + second // 4, "tokens_per_second": 80.0}
        busy = [pod(i, 204, **told) for i in range(2)]
        decision = course.look([*busy, *(pod(i) for i in range(2, 20))])
    assert decision.desired == 20
    assert decision.reason is DecisionReason.QUEUE_HOLDS


def test_a_queue_on_one_pod_keeps_no_more_than_it_would_fill() -> None:
    """A client that stays on one pod overloads it for ever: the others may go all the same."""
    course = Course(current=20)
    for second in range(500):
        busy = pod(0, 8, received=1000 + second // 2, tokens_per_second=80.0)
        course.look([busy, *(pod(i) for i in range(1, max(2, course.current)))])
    assert course.current <= 4


# Downwards


def test_fewer_pods_only_where_they_would_hold_the_load_with_room_to_spare() -> None:
    course = settled(3, 8, **AT_ONCE)
    course.stay(spread(5, 3), 200)
    assert course.current == 2
    course.stay(spread(3, 2), 200)
    assert course.current == 2
    course.stay(spread(2, 2), 200)
    assert course.current == 1


def test_a_lower_wish_must_hold_for_the_stabilization_window() -> None:
    """The inverted window: the highest wish of the last 300 s holds, not the lowest."""
    course = settled(5, 14)
    course.stay(spread(3, 5), 250)
    assert course.current == 5
    course.stay(spread(14, 5), 60)
    course.stay(spread(3, 5), 290)
    assert course.current == 5
    course.stay(spread(3, 5), 150)
    assert course.current == 2


def test_a_fall_is_one_step_and_not_many() -> None:
    course = settled(9, 28)
    course.stay(spread(3, 9), 600)
    assert next(d.desired for d in course.history if d.reason is DecisionReason.DEMAND_FELL) == 2


def test_twice_the_learned_start_up_time_is_the_least_window() -> None:
    course = Course(autoscaling(**AT_ONCE), 1)
    course.stay(spread(3, 1), 100)
    course.stay(spread(10, 1), 200, pending=2, awaited=("pod-1", "pod-2"))
    course.stay(spread(10, 3), 70)
    assert course.history[-1].startup_seconds_p90 == pytest.approx(200, abs=10)
    course.stay(spread(1, 3), 380)
    assert course.current == 3
    course.stay(spread(1, 3), 140)
    assert course.current == 1


def test_requests_of_a_leaving_pod_will_come_back_to_the_others() -> None:
    course = settled(3, 6, **AT_ONCE)
    course.current = 3
    course.stay([*spread(4, 2), leaving(9, 2)], 300)
    assert course.current == 3


def test_down_policies_are_looked_back_on() -> None:
    policy = {"type": "Pods", "value": 1, "periodSeconds": 120}
    course = settled(5, 15, scaleDown={"stabilizationWindowSeconds": 0, "policies": [policy]})
    begin = course.now
    changes = []
    while course.current > 1 and course.now < begin + 2000:
        before = course.current
        course.look(spread(0, course.current), 5)
        if course.current != before:
            changes.append((course.now - begin, before - course.current))
    assert [by for _, by in changes] == [1, 1, 1, 1]
    gaps = [later[0] - sooner[0] for sooner, later in itertools.pairwise(changes)]
    assert min(gaps) >= 120


def test_up_policies_limit_a_burst() -> None:
    policy = {"type": "Pods", "value": 2, "periodSeconds": 60}
    course = settled(1, 3, scaleUp={"policies": [policy]})
    course.stay(spread(40, 1), 30)
    assert course.current == 3
    course.stay(spread(40, 1), 60)
    assert course.current == 5


def test_an_up_window_waits_for_a_rise_to_last() -> None:
    course = settled(2, 6, scaleUp={"stabilizationWindowSeconds": 120})
    course.stay(spread(30, 2), 100)
    assert course.current == 2
    course.stay(spread(30, 2), 60)
    assert course.current == 9


def test_an_idle_deployment_with_a_minimum_goes_to_its_minimum() -> None:
    course = settled(4, 12, minReplicas=2)
    course.stay(spread(0, 4), 600)
    assert course.current == 2


# Panic


def test_nothing_goes_within_a_stable_window_of_a_burst() -> None:
    course = settled(1, 2, **AT_ONCE)
    course.stay(spread(12, 1), 4, step=0.5)
    raised = course.current
    assert raised == 4
    course.stay(spread(0, raised), 59)
    assert course.current == raised
    course.stay(spread(0, raised), 70)
    assert course.current == 1


def test_a_restart_never_scales_down_on_empty_windows() -> None:
    course = Course(autoscaling(**AT_ONCE), 6)
    course.stay(spread(0, 6), 59)
    assert course.current == 6
    course.stay(spread(0, 6), 70)
    assert course.current == 1


def test_a_restart_in_mid_burst_goes_on_with_it() -> None:
    course = settled(1, 3)
    course.stay(spread(30, 1), 2, step=0.5)
    course.restart()
    course.stay(spread(30, 1), 3.5, step=0.5, pending=course.current - 1)
    assert course.current == 9


def test_the_memory_knows_what_was_wanted_before_the_api_server_does() -> None:
    course = settled(1, 3)
    course.stay(spread(30, 1), 3.5, step=0.5)
    assert course.look(spread(3, 1), 1, current=1).desired == 9


# Latency as a guard

SLOW = {"targets": {"interTokenLatencyP90": "100ms", "timeToFirstTokenP90": "1s"}}


def slow(requests: int, pods: int, gap: float) -> list[PodReport]:
    return [pod(i, requests // pods, inter_token_p90=gap) for i in range(pods)]


def test_latency_adds_one_pod_and_waits_for_its_effect() -> None:
    course = settled(2, 4, **SLOW)
    course.stay(slow(4, 2, 0.150), 5)
    assert course.current == 3
    assert course.history[-1].reason is DecisionReason.LATENCY
    course.stay(slow(4, 2, 0.150), 60, pending=1)
    assert course.current == 3
    course.stay(slow(3, 3, 0.150), 50)
    assert course.current == 3
    course.stay(slow(3, 3, 0.150), 20)
    assert course.current == 4


def test_a_moment_of_latency_adds_nothing() -> None:
    course = settled(2, 4, **SLOW)
    for _ in range(10):
        course.stay(slow(4, 2, 0.150), 2)
        course.stay(slow(4, 2, 0.050), 1)
    assert course.current == 2


def test_slow_first_tokens_without_a_queue_add_nothing() -> None:
    """A long prompt takes its time on however many pods."""
    course = settled(2, 4, **SLOW)
    course.stay([pod(i, 2, first_token_p90=5.0) for i in range(2)], 60)
    assert course.current == 2


def test_what_was_too_slow_is_not_tried_again_at_once() -> None:
    course = settled(2, 4, **SLOW, **AT_ONCE)
    course.stay(slow(4, 2, 0.150), 5)
    course.stay(spread(4, 3), 600)
    assert course.current == 3


def test_latency_keeps_pods_that_tokens_would_give_up() -> None:
    course = settled(3, 3, **{**SLOW, **AT_ONCE}, minReplicas=3)
    course.spec = autoscaling(**SLOW, **AT_ONCE)
    course.stay(slow(3, 3, 0.070), 300)
    assert course.current == 3
    assert course.history[-1].reason is DecisionReason.LATENCY_HOLDS
    course.stay(slow(3, 3, 0.020), 300)
    assert course.current == 2


def test_one_limping_pod_of_four_adds_nothing() -> None:
    course = settled(4, 8, **SLOW, minReplicas=4)
    pods = [*spread(6, 3), pod(9, 2, inter_token_p90=9.0)]
    course.stay(pods, 120)
    assert course.current == 4


# Bounds


def test_a_maximum_that_was_lowered_holds_at_once_even_in_a_burst() -> None:
    course = settled(1, 3)
    course.stay(spread(60, 1), 4, step=0.5)
    course.spec = autoscaling(maxReplicas=5)
    assert course.look(spread(60, 1)).desired == 5


def test_a_minimum_that_was_raised_holds_at_once() -> None:
    course = settled(1, 0)
    course.spec = autoscaling(minReplicas=4)
    decision = course.look(spread(0, 1))
    assert (decision.desired, decision.reason) == (4, DecisionReason.MINIMUM)


def test_more_load_than_the_maximum_is_told_as_such() -> None:
    course = settled(1, 3, maxReplicas=4)
    decision = course.stay(spread(60, 1), 10)
    assert decision.desired == 4
    assert decision.reason is DecisionReason.AT_MAXIMUM
    assert decision.condition.reason is ConditionReason.AT_MAXIMUM
    assert decision.condition.is_true


def test_a_schedule_is_a_floor() -> None:
    rule = {"cron": "* * * * *", "durationSeconds": 60, "minReplicas": 5}
    course = Course(autoscaling(schedules=[rule]))
    decision = course.look(spread(0, 1))
    assert (decision.desired, decision.reason) == (5, DecisionReason.SCHEDULE)


def test_a_rollout_gets_what_it_needs_within_the_maximum() -> None:
    course = settled(2, 2, minReplicas=2, maxReplicas=3)
    decision = course.look(spread(2, 2), rollout_floor=4, is_rolling=True)
    assert (decision.desired, decision.reason) == (3, DecisionReason.ROLLOUT)


def test_a_maximum_that_was_lowered_holds_in_a_rollout_too() -> None:
    course = settled(10, 8, minReplicas=10)
    course.spec = autoscaling(maxReplicas=3)
    decision = course.look(spread(8, 10), rollout_floor=10, is_rolling=True)
    assert (decision.desired, decision.reason) == (3, DecisionReason.MAXIMUM)


def test_nothing_goes_while_a_rollout_runs() -> None:
    course = settled(4, 12)
    course.stay(spread(0, 4), 900, step=5, is_rolling=True)
    assert course.current == 4
    assert course.history[-1].reason is DecisionReason.ROLLOUT_HOLDS


# Nodes that are late, or refused


def test_a_node_that_comes_after_four_minutes_is_waited_for() -> None:
    course = settled(1, 3)
    course.stay(spread(30, 1), 4, step=0.5)
    since = (course.now,) * 8
    course.stay(spread(30, 1), 240, unschedulable_since=since)
    assert course.current == 9
    course.stay(spread(30, 1), 60, pending=8)
    course.stay(spread(30, 9), 60)
    assert {decision.desired for decision in course.history[-300:]} == {9}


def test_after_the_capacity_timeout_no_more_are_asked_for() -> None:
    course = settled(1, 3)
    course.limits = Limits(capacity_timeout=60)
    course.stay(spread(8, 1), 4, step=0.5)
    stuck = (course.now,) * (course.current - 1)
    before = course.current
    course.stay(spread(8, 1), 61, unschedulable_since=stuck)
    decision = course.stay(spread(40, 1), 120, unschedulable_since=stuck)
    assert decision.desired == before
    assert decision.reason is DecisionReason.CAPACITY_LIMITED
    assert decision.condition.reason is ConditionReason.CAPACITY_LIMITED
    course.stay(spread(40, before), 10)
    assert course.current == 12


def test_a_refusal_stops_raises_at_once() -> None:
    course = settled(2, 6)
    decision = course.stay(spread(40, 2), 30, is_refused=True)
    assert (decision.desired, decision.reason) == (2, DecisionReason.CAPACITY_LIMITED)


def test_pods_without_a_node_do_not_keep_the_count_up() -> None:
    course = settled(2, 6)
    course.stay(spread(16, 2), 5)
    raised = course.current
    assert raised > 2
    course.stay(spread(4, 2), 600, unschedulable_since=(course.now,) * (raised - 2))
    assert course.current == 2


# Zero

ZERO = {"minReplicas": 0, "scaleToZero": {"afterSeconds": 120}}


def test_silence_ends_the_last_pod() -> None:
    course = Course(autoscaling(**ZERO))
    course.stay(spread(0, 1), 118)
    assert course.current == 1
    decision = course.stay(spread(0, 1), 5)
    assert (decision.desired, decision.reason) == (0, DecisionReason.IDLE)
    course.stay((), 1000, step=10)
    assert course.current == 0


@pytest.mark.parametrize("requests", [1, 5])
def test_any_work_starts_the_silence_again(requests: int) -> None:
    course = Course(autoscaling(**ZERO))
    course.stay(spread(0, 1), 100)
    course.look(spread(requests, 1))
    course.stay(spread(0, 1), 110)
    assert course.current >= 1


def test_work_that_came_and_went_between_two_looks_is_no_silence() -> None:
    course = Course(autoscaling(**ZERO))
    course.stay([pod(0, received=5)], 100)
    course.stay([pod(0, received=6)], 110)
    assert course.current == 1


def test_three_start_up_times_are_the_least_silence() -> None:
    course = Course(autoscaling(**ZERO, **AT_ONCE))
    course.look(spread(3, 1))
    course.stay(spread(10, 1), 100, pending=2, awaited=("pod-1", "pod-2"))
    course.stay(spread(10, 3), 5)
    course.stay(spread(0, 3), 290)
    assert course.current > 0
    course.stay(spread(0, 3), 30)
    assert course.current == 0


def test_silence_need_not_last_for_hours_where_pods_start_slowly() -> None:
    """Three start-up times would be 50 minutes."""
    course = Course(autoscaling(**ZERO, **AT_ONCE))
    course.look(spread(3, 1))
    course.stay(spread(10, 1), 1000, step=5, pending=2, awaited=("pod-1", "pod-2"))
    course.stay(spread(10, 3), 5)
    course.stay(spread(0, 3), 890)
    assert course.current > 0
    course.stay(spread(0, 3), 30)
    assert course.current == 0


def test_longer_silence_than_a_quarter_of_an_hour_may_be_asked_for() -> None:
    course = Course(autoscaling(minReplicas=0, scaleToZero={"afterSeconds": 2000}))
    course.stay(spread(0, 1), 1990, step=5)
    assert course.current == 1
    course.stay(spread(0, 1), 20)
    assert course.current == 0


def test_a_held_call_brings_a_pod_at_once() -> None:
    course = Course(autoscaling(**ZERO), 0)
    course.stay((), 100)
    decision = course.look((), 0.0, held=1, held_received=1)
    assert (decision.desired, decision.reason) == (1, DecisionReason.CALLS_HELD)


def test_the_first_scale_up_is_sized_from_what_is_held() -> None:
    course = Course(autoscaling(**ZERO))
    course.stay(spread(2, 1), 100)
    course.stay(spread(0, 1), 200)
    assert course.current == 0
    assert course.look((), held=10, held_received=10).desired == 3


@pytest.mark.parametrize(("held", "pods"), [(1, 1), (20, 3), (100, 15), (500, 20)])
def test_a_leader_that_has_never_seen_a_pod_sizes_by_the_slots_of_the_spec(
    held: int, pods: int
) -> None:
    """ceil(held / (85 % of eight slots)), within the maximum."""
    course = Course(autoscaling(**ZERO), 0, Limits(capacity_timeout=900, slots=8))
    assert course.look((), held=held, held_received=held).desired == pods
    course.stay((), 120, held=held, held_received=held, pending=pods)
    assert course.current == pods


def test_held_calls_are_not_asked_for_twice_while_the_pod_starts() -> None:
    course = Course(autoscaling(**ZERO), 0)
    course.look((), held=3, held_received=3)
    course.stay((), 300, held=3, held_received=3, pending=1)
    assert course.current == 1


def test_many_pods_end_in_one_step_only_when_each_is_idle() -> None:
    """KEDA goes from N to zero although one pod still works."""
    course = Course(autoscaling(**ZERO), 4)
    course.stay([*spread(0, 3), pod(9, 1)], 1000, step=5)
    assert course.current == 1
    course = Course(autoscaling(**ZERO), 4)
    course.stay([*spread(0, 3), silent(9)], 1000, step=5)
    assert course.current >= 1


def test_going_to_zero_keeps_to_the_policies() -> None:
    policy = {"type": "Pods", "value": 1, "periodSeconds": 300}
    course = Course(autoscaling(**ZERO, scaleDown={"policies": [policy]}), 3)
    course.stay(spread(0, 3), 200)
    assert course.current == 2


def test_a_schedule_keeps_pods_through_silence() -> None:
    rule = {"cron": "* * * * *", "durationSeconds": 60, "minReplicas": 2}
    course = Course(autoscaling(**ZERO, schedules=[rule]), 2)
    course.stay(spread(0, 2), 1000, step=5)
    assert course.current == 2


def test_work_that_slipped_in_on_the_way_to_zero_brings_the_pod_back() -> None:
    course = Course(autoscaling(**ZERO))
    course.stay(spread(0, 1), 130)
    assert course.current == 0
    course.look([leaving(0, 1)])
    assert course.current == 1


def test_silence_is_measured_on_the_leaders_clock_even_if_it_jumps_back() -> None:
    course = Course(autoscaling(**ZERO))
    course.stay(spread(0, 1), 100)
    course.now = START
    assert course.look(spread(0, 1)).desired == 1


# A step down that did not hold


@pytest.mark.parametrize("most", [20, 2])
def test_a_step_down_that_did_not_hold_is_not_tried_again_at_that_load(most: int) -> None:
    course = settled(2, 5, maxReplicas=most, targets={"utilization": 90}, **AT_ONCE)
    course.stay([pod(0, 2), pod(1, 1)], 90)  # 0.75 of a pod: just not too much for one
    assert course.current == 1
    course.stay(spread(4, 1), 60)  # and yet it fills it
    assert course.current == 2
    course.stay([pod(0, 2), pod(1, 1)], 600)
    assert course.current == 2


def test_a_fall_to_the_floor_is_no_wish_of_the_floor() -> None:
    course = settled(6, 18, minReplicas=3, **AT_ONCE)
    course.serve(2, 400, step=5)
    assert course.current == 3
    told = {d.reason for d in course.history if d.message.startswith("Scaled from")}
    assert DecisionReason.MINIMUM not in told
    assert DecisionReason.DEMAND_FELL in told
