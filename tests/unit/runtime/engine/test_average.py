import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.average import MovingAverage

values = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


def average(numbers: list[float], window: int = 32) -> MovingAverage:
    result = MovingAverage(window)
    for number in numbers:
        result.add(number)
    return result


def test_nothing_has_no_mean() -> None:
    assert (MovingAverage().count, MovingAverage().mean) == (0, 0.0)


@given(values)
def test_it_stays_between_the_smallest_and_the_largest(numbers: list[float]) -> None:
    mean = average(numbers).mean
    assert min(numbers) - 1e-6 <= mean <= max(numbers) + 1e-6


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=32))
def test_of_the_first_ones_it_is_the_plain_mean(numbers: list[float]) -> None:
    assert average(numbers).mean == pytest.approx(sum(numbers) / len(numbers), abs=1e-6)


@given(values, st.floats(0, 1e6))
def test_it_follows_what_is_new(numbers: list[float], level: float) -> None:
    before = average(numbers).mean
    after = average([*numbers, *([level] * 96)]).mean
    assert abs(after - level) <= abs(before - level) * 0.07 + 1e-6
