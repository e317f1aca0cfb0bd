import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.quantile import RELATIVE_ERROR, RecentQuantile

durations = st.floats(1e-4, 3600.0)


def exact(values: list[float], share: float) -> float:
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def test_nothing_measured_is_zero() -> None:
    assert RecentQuantile().at(5.0, 0.9) == 0.0


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_the_answer_is_off_by_less_than_half_a_bucket(values: list[float], share: float) -> None:
    quantile = RecentQuantile()
    for value in values:
        quantile.add(100.0, value)
    assert quantile.at(100.0, share) == pytest.approx(
        exact(values, share), rel=RELATIVE_ERROR + 1e-9
    )


@given(st.lists(st.tuples(st.floats(0, 20), durations), max_size=60), st.floats(0, 130))
def test_only_the_last_minute_counts_give_or_take_a_slice(
    measured: list[tuple[float, float]], later: float
) -> None:
    quantile, now = RecentQuantile(), 0.0
    values: list[tuple[float, float]] = []
    for pause, value in measured:
        now += pause
        quantile.add(now, value)
        values.append((now, value))
    now += later
    surely = [value for at, value in values if at > now - 55]
    perhaps = [value for at, value in values if at > now - 60]
    top = quantile.at(now, 1.0)
    if surely:
        assert top >= max(surely) / (1 + RELATIVE_ERROR) * (1 - 1e-9)
    if not perhaps:
        assert top == 0.0
    else:
        assert top <= max(perhaps) * (1 + RELATIVE_ERROR) * (1 + 1e-9)


@pytest.mark.parametrize(("value", "shown"), [(-1.0, 1e-4), (0.0, 1e-4), (1e9, 3600.0)])
def test_impossible_durations_count_as_the_shortest_or_longest(value: float, shown: float) -> None:
    quantile = RecentQuantile()
    quantile.add(0.0, value)
    assert quantile.at(0.0, 0.9) == pytest.approx(shown, rel=0.1)


def test_a_rare_slow_one_does_not_show_in_the_ninetieth_percentile() -> None:
    quantile = RecentQuantile()
    for index in range(100):
        quantile.add(0.0, 60.0 if index % 20 == 0 else 0.01)
    assert quantile.at(0.0, 0.9) == pytest.approx(0.01, rel=RELATIVE_ERROR)


def test_memory_does_not_grow_with_time() -> None:
    quantile = RecentQuantile()
    for second in range(1000):
        quantile.add(float(second), 0.01 * (second % 7 + 1))
    assert len(quantile._slices) <= 12
