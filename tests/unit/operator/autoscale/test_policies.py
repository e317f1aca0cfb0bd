"""Scaling policies, as HorizontalPodAutoscaler's."""

from llm_operator.api.llmdeployment import ScalingPolicy
from llm_operator.autoscale.policies import (
    MOST_CHANGES,
    Change,
    frees_at,
    highest,
    lowest,
    remember,
)

TWO = ScalingPolicy(type="Pods", value=2, period_seconds=60)
HALF = ScalingPolicy(type="Percent", value=50, period_seconds=60)
DOUBLE = ScalingPolicy(type="Percent", value=100, period_seconds=15)


def test_without_a_policy_nothing_is_limited() -> None:
    assert highest(3, 0, (), ()) is None
    assert lowest(3, 0, (), ()) is None


def test_pods_of_the_period_are_looked_back_on() -> None:
    assert highest(4, 100, [Change(90, 2)], [TWO]) == 4
    assert highest(4, 100, [Change(30, 2)], [TWO]) == 6
    assert lowest(4, 100, [Change(90, -1)], [TWO]) == 3


def test_per_cent_counts_from_the_start_of_the_period() -> None:
    assert highest(4, 100, [Change(90, 2)], [DOUBLE]) == 4
    assert highest(3, 100, (), [HALF]) == 5
    assert lowest(3, 100, (), [HALF]) == 1


def test_the_policy_that_allows_most_holds() -> None:
    assert highest(10, 0, (), [TWO, HALF]) == 15
    assert lowest(10, 0, (), [TWO, HALF]) == 5


def test_a_limit_never_turns_a_raise_into_a_fall() -> None:
    assert highest(9, 100, [Change(99, 8)], [TWO]) == 9


def test_only_as_long_as_a_policy_looks_back_is_a_change_remembered() -> None:
    changes = remember((Change(0, 1), Change(50, 1)), Change(100, 1), [TWO])
    assert changes == (Change(50, 1), Change(100, 1))
    assert remember((), Change(100, 1), ()) == ()


def test_however_many_changes_there_are_memory_is_bounded_and_forgets_none() -> None:
    changes: tuple[Change, ...] = ()
    for i in range(1000):
        changes = remember(changes, Change(i / 100, 1), [TWO])
    assert len(changes) == MOST_CHANGES
    assert sum(change.by for change in changes) == 1000


def test_a_limit_lifts_when_the_oldest_change_leaves() -> None:
    assert frees_at(100, [Change(70, 1), Change(90, 1)], [TWO]) == 130
