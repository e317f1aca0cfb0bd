"""What holds for every load, every spec and every liar."""

import itertools
import math
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.decide import Decision, DecisionReason, Limits
from llm_operator.autoscale.observation import PodReport
from llm_operator.autoscale.signals import PodLoad, PodState
from support.fleet import SLOTS, Course, autoscaling, load, spread

anything = st.one_of(
    st.integers(-5, 1 << 45), st.floats(allow_nan=True, allow_infinity=True), st.just(0)
)
counts = st.integers(-2, 50)
loads = st.one_of(
    st.none(),
    st.builds(load, st.integers(0, 60), received=st.integers(0, 99)),
    st.builds(load, st.integers(0, 9), state=st.sampled_from(PodState)),
    st.builds(
        PodLoad,
        running=counts,
        waiting=anything,
        tokens_held=anything,
        prompt_tokens_queued=anything,
        capacity_tokens=st.one_of(st.integers(0, 9000), anything),
        slots=counts,
        first_token_p90=anything,
        inter_token_p90=anything,
        tokens_per_second=anything,
        mean_prompt=anything,
        mean_output=anything,
        received=anything,
    ),
)
pods = st.lists(loads, max_size=8).map(
    lambda found: tuple(PodReport(uid=f"pod-{i}", load=one) for i, one in enumerate(found))
)
moments = st.tuples(
    pods,
    st.floats(0, 400),
    st.fixed_dictionaries(
        {},
        optional={
            "pending": st.integers(0, 9),
            "held": st.integers(0, 99),
            "held_received": st.integers(0, 99),
            "is_refused": st.booleans(),
            "is_rolling": st.booleans(),
            "rollout_floor": st.integers(0, 12),
            "unschedulable_since": st.lists(st.floats(1_799_990_000, 1_800_010_000)).map(tuple),
        },
    ),
)
policies = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Pods", "Percent"]),
            "value": st.integers(1, 300),
            "periodSeconds": st.integers(1, 1800),
        }
    ),
    max_size=3,
)


@st.composite
def specs(draw: st.DrawFn) -> AutoscalingSpec:
    least = draw(st.integers(0, 6))
    stable = draw(st.integers(5, 600))
    return autoscaling(
        minReplicas=least,
        maxReplicas=draw(st.integers(max(1, least), 20)),
        metric=draw(st.sampled_from(["Tokens", "Concurrency"])),
        targets={
            "utilization": draw(st.integers(10, 100)),
            **draw(st.sampled_from([{}, {"interTokenLatencyP90": "50ms"}])),
        },
        stableWindowSeconds=stable,
        panic={"windowSeconds": draw(st.integers(1, min(60, stable)))},
        scaleUp={
            "stabilizationWindowSeconds": draw(st.sampled_from([0, 0, 60])),
            "policies": draw(policies),
        },
        scaleDown={
            "stabilizationWindowSeconds": draw(st.sampled_from([0, 60, 300])),
            "policies": draw(policies),
        },
        scaleToZero={"afterSeconds": draw(st.integers(5, 600))},
    )


def walk(course: Course, story: list[Any]) -> list[tuple[int, Decision, dict[str, Any]]]:
    """The count before, the decision and what was seen, moment by moment."""
    told = []
    for seen, after, around in story:
        before = course.current
        told.append((before, course.look(seen, after, **around), around))
    return told


@given(specs(), st.integers(0, 20), st.lists(moments, max_size=25))
@settings(max_examples=80, deadline=None)
def test_never_below_the_minimum_nor_above_the_maximum(
    spec: AutoscalingSpec, current: int, story: list[Any]
) -> None:
    """Whatever pods say and whatever a rollout needs."""
    for _, decision, around in walk(Course(spec, current), story):
        floor = min(around.get("rollout_floor", 0), spec.max_replicas)
        assert decision.desired >= max(spec.min_replicas, floor)
        assert decision.desired <= spec.max_replicas


@given(specs(), st.integers(1, 20), st.lists(moments, min_size=1, max_size=25))
@settings(max_examples=80, deadline=None)
def test_a_lowered_maximum_holds_at_once_whatever_a_rollout_does(
    spec: AutoscalingSpec, most: int, story: list[Any]
) -> None:
    course = Course(spec, 20)
    walk(course, story)
    least = min(spec.min_replicas, most)
    course.spec = spec.model_copy(update={"max_replicas": most, "min_replicas": least})
    for seen, after, around in story:
        held = {**around, "rollout_floor": course.current, "is_rolling": True}
        assert course.look(seen, after, **held).desired <= most


@given(specs(), st.integers(0, 20), st.lists(moments, max_size=25))
@settings(max_examples=80, deadline=None)
def test_a_decision_always_explains_itself_in_one_sentence(
    spec: AutoscalingSpec, current: int, story: list[Any]
) -> None:
    for _, decision, _ in walk(Course(spec, current), story):
        assert decision.message.endswith(".")
        assert decision.message.count(". ") == 0
        assert "nan" not in decision.message
        assert "{" not in decision.message
        assert decision.look_again is None or 0 < decision.look_again < math.inf


@given(specs(), st.integers(1, 20), st.lists(moments, max_size=25))
@settings(max_examples=80, deadline=None)
def test_refused_capacity_is_never_asked_for(
    spec: AutoscalingSpec, current: int, story: list[Any]
) -> None:
    story = [(seen, after, {**around, "is_refused": True}) for seen, after, around in story]
    for before, decision, around in walk(Course(spec, current), story):
        asked = max(spec.min_replicas, around.get("rollout_floor", 0))
        assert decision.desired <= max(before, asked)


@given(specs(), st.integers(1, 20), st.lists(moments, max_size=15))
@settings(max_examples=80, deadline=None)
def test_a_restart_never_scales_down(spec: AutoscalingSpec, current: int, story: list[Any]) -> None:
    """Within the first stable window, whatever is seen."""
    assume(current <= spec.max_replicas)
    course = Course(spec, current)
    end = course.now + spec.stable_window_seconds
    for seen, after, around in story:
        if course.now + after >= end:
            break
        before = course.current
        assert course.look(seen, after, **around).desired >= before


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 90), st.floats(0.2, 9)), min_size=5, max_size=80),
)
@settings(max_examples=40, deadline=None)
def test_panic_never_scales_down(current: int, story: list[tuple[int, float]]) -> None:
    course = Course(autoscaling(scaleDown={"stabilizationWindowSeconds": 0}), current)
    for requests, after in story:
        before = course.current
        decision = course.look(spread(requests, before), after)
        if course.now - course.memory.burst_at < 60:
            assert decision.desired >= before


@given(st.integers(0, 70), st.integers(1, 20), st.sampled_from([0, 30, 300]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_constant_load_does_not_oscillate(
    requests: int, current: int, window: int, by_tokens: bool
) -> None:
    """Up to where it belongs or down to where it belongs, in two runs at most, and then never
    again."""
    course = Course(
        autoscaling(
            metric="Tokens" if by_tokens else "Concurrency",
            scaleDown={"stabilizationWindowSeconds": window},
        ),
        current,
    )
    wanted = [current, *course.serve(requests, 1500, step=5)]
    turns = [b - a for a, b in itertools.pairwise(wanted) if a != b]
    signs = [step > 0 for step in turns]
    assert sum(a != b for a, b in itertools.pairwise(signs)) <= 1
    assert len(set(wanted[-100:])) == 1


@given(st.integers(0, 70), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_a_constant_load_ends_where_it_fits(requests: int, current: int) -> None:
    course = Course(autoscaling(), current)
    course.serve(requests, 1500, step=5)
    carried = 0.85 * SLOTS
    assert min(20, math.ceil(requests / carried - 1e-9)) <= course.current
    assert course.current <= min(20, max(1, math.ceil(requests / (0.88 * carried)))) or (
        course.current <= current
    )


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=40),
    st.integers(1, 12),
)
@settings(max_examples=40, deadline=None)
def test_more_load_never_wants_fewer_pods(story: list[tuple[int, int]], current: int) -> None:
    """Two equal deployments, of which one always has at least the other's load."""
    less, more = Course(autoscaling(), current), Course(autoscaling(), current)
    for requests, extra in story:
        for _ in range(5):
            low = less.look(spread(requests, current), 2)
            high = more.look(spread(requests + extra, current), 2)
            assert high.desired >= low.desired


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_looking_when_told_misses_nothing(story: list[int], current: int) -> None:
    """Looking only at news and at `look_again` ends where looking every second does."""
    eager, lazy = Course(autoscaling(), current), Course(autoscaling(), current)
    for requests in story:
        for _ in range(100):
            eager.look(spread(requests, current), 1)
        end = lazy.now + 100
        decision = lazy.look(spread(requests, current), 0.5)
        while decision.look_again is not None and lazy.now + decision.look_again < end - 0.5:
            decision = lazy.look(spread(requests, current), decision.look_again)
        lazy.now = end - 0.5
        lazy.look(spread(requests, current), 0.5)
        assert abs(lazy.current - eager.current) <= 1


@given(st.integers(2, 12), st.lists(st.integers(1, 40), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_from_many_to_none_never_in_one_step_while_a_pod_works(
    current: int, story: list[int]
) -> None:
    spec = autoscaling(
        minReplicas=0,
        scaleToZero={"afterSeconds": 5},
        scaleDown={"stabilizationWindowSeconds": 0},
        stableWindowSeconds=5,
    )
    course = Course(spec, current)
    for requests in story:
        assert course.stay(spread(requests, max(1, course.current)), 30, step=3).desired >= 1


@given(st.integers(1, 20), st.floats(1, 3000))
@settings(max_examples=25, deadline=None)
def test_all_metrics_lost_changes_nothing(current: int, seconds: float) -> None:
    course = Course(autoscaling(scaleDown={"stabilizationWindowSeconds": 0}), current)
    course.limits = Limits(capacity_timeout=60)
    silent = [PodReport(uid=f"pod-{i}", load=None) for i in range(current)]
    decision = course.stay(silent, 20, step=seconds)
    assert decision.desired == current
    assert decision.reason is DecisionReason.METRICS_UNAVAILABLE
