"""Means, totals and extremes over time, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.autoscale.windows import POINTS, Curve, Highest, Mean


def seen(values: list[tuple[float, float]], window: float) -> Mean:
    mean = Mean()
    for at, value in values:
        mean = mean.see(at, value, window)
    return mean


def test_a_value_holds_until_the_next_one() -> None:
    mean = seen([(0, 10), (30, 0)], 60)
    assert mean.over(60, 60) == pytest.approx(5.0)


def test_what_left_the_window_counts_no_more() -> None:
    mean = seen([(0, 10), (30, 2), (90, 2)], 60)
    assert mean.over(90, 60) == pytest.approx(2.0)


def test_a_young_mean_is_over_what_there_is() -> None:
    assert seen([(100, 7)], 60).over(100, 60) == 7.0
    assert seen([(100, 7), (101, 1)], 60).over(102, 60) == pytest.approx(4.0)


def test_many_messages_are_kept_as_few_points() -> None:
    mean = seen([(i / 100, i % 2) for i in range(100_000)], 60)
    assert len(mean.area.points) <= POINTS + 4
    assert mean.over(1000, 60) == pytest.approx(0.5, abs=0.02)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 100)), min_size=1, max_size=200),
    st.floats(1, 60),
)
def test_a_mean_lies_between_the_extremes(steps: list[tuple[float, float]], window: float) -> None:
    at, mean = 0.0, Mean()
    for gap, value in steps:
        at += gap
        mean = mean.see(at, value, window)
    values = [value for _, value in steps]
    assert min(values) - 1e-6 <= mean.over(at + 1, window) <= max(values) + 1e-6


def test_a_total_between_two_points_lies_on_the_line() -> None:
    curve = Curve().see(0, 0, 60).see(10, 20, 60)
    assert curve.at(5) == pytest.approx(10)
    assert curve.at(-5) == 0
    assert curve.at(15) == 20


def test_the_highest_count_leaves_with_the_window() -> None:
    highest = Highest().see(0, 5, 300).see(10, 3, 300).see(20, 4, 300)
    assert highest.over(299, 300) == 5
    assert highest.over(301, 300) == 4
    assert highest.falls_at(20, 300) == 300


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 9)), min_size=1, max_size=100))
def test_the_highest_count_is_that_of_all_kept(steps: list[tuple[float, int]]) -> None:
    at, highest, all_seen = 0.0, Highest(), []
    for gap, count in steps:
        at += gap
        highest = highest.see(at, count, 60)
        all_seen.append((at, count))
        assert highest.over(at, 60) == max(n for when, n in all_seen if when > at - 60)
        assert len(highest.seen) <= 10
