import math

import pytest
from bench.load.histogram import Histogram
from hypothesis import given
from hypothesis import strategies as st

durations = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=200)


def filled(samples: list[float]) -> Histogram:
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    return histogram


@given(durations, st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_percent_of_the_sample_of_its_rank(
    samples: list[float], share: float
) -> None:
    exact = sorted(samples)[max(1, math.ceil(share * len(samples))) - 1]
    assert filled(samples).quantile(share) == pytest.approx(exact, rel=0.01)


@given(durations, durations)
def test_merged_histograms_know_what_one_would(first: list[float], second: list[float]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    assert merged.summary() == filled(first + second).summary()


@given(durations)
def test_no_quantile_is_above_the_largest_sample(samples: list[float]) -> None:
    assert (filled(samples).quantile(1.0) or 0) <= max(samples)


def test_a_sample_counts_as_often_as_it_is_said() -> None:
    histogram = Histogram()
    histogram.add(1.0, 9)
    histogram.add(5.0)
    assert histogram.count == 10
    assert histogram.quantile(0.9) == pytest.approx(1.0, rel=0.01)
    assert histogram.quantile(0.91) == pytest.approx(5.0, rel=0.01)


def test_without_samples_there_is_no_quantile() -> None:
    assert Histogram().summary() == {"p50": None, "p90": None, "p99": None, "max": None, "count": 0}


def test_times_below_a_microsecond_and_of_zero_are_counted() -> None:
    histogram = filled([0.0, 1e-9])
    assert histogram.count == 2
    assert histogram.quantile(0.5) == pytest.approx(1e-6)
