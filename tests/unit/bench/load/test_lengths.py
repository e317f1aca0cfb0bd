import statistics
from random import Random

import pytest
from bench.load.grammar import InvalidPlanError
from bench.load.lengths import Distribution, Fixed, Lognormal, Uniform, parse_distribution
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("32", Fixed(32)),
        ("fixed:tokens=32", Fixed(32)),
        ("uniform:low=16,high=64", Uniform(16, 64)),
        ("lognormal:median=64,sigma=0.8,high=512", Lognormal(64, 0.8, 512)),
        ("lognormal:median=64,sigma=0.8,high=512,low=8", Lognormal(64, 0.8, 512, 8)),
    ],
)
def test_a_distribution_is_read_as_written(text: str, distribution: Distribution) -> None:
    assert parse_distribution(text) == distribution


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0", "tokens is 0, it must be between 1 and 1000000"),
        ("-4", "tokens is -4"),
        ("normal:mean=3", "unknown kind 'normal'; take one of fixed, uniform, lognormal"),
        ("uniform:low=9,high=3", "low is 9, more than high, 3"),
        ("lognormal:median=64,sigma=0.8", "high is missing"),
        ("lognormal:median=64,sigma=-1,high=9", "sigma is -1"),
    ],
)
def test_a_wrong_distribution_is_refused_with_the_field(text: str, complaint: str) -> None:
    with pytest.raises(InvalidPlanError, match=complaint):
        parse_distribution(text)


@given(
    st.integers(1, 500), st.integers(0, 500), st.floats(1, 1000), st.floats(0, 10), st.integers()
)
def test_every_length_is_within_its_bounds(
    low: int, more: int, median: float, sigma: float, seed: int
) -> None:
    random, high = Random(seed), low + more  # noqa: S311
    for distribution in (Uniform(low, high), Lognormal(median, sigma, high, low)):
        assert all(low <= distribution.draw(random) <= high for _ in range(20))


def test_a_lognormal_distribution_has_its_median_and_its_tail() -> None:
    random = Random(1)  # noqa: S311
    drawn = [Lognormal(64, 1.0, 1_000_000).draw(random) for _ in range(20_000)]
    assert statistics.median(drawn) == pytest.approx(64, rel=0.03)
    assert sum(length > 64 * 2.718 for length in drawn) / 20_000 == pytest.approx(0.159, abs=0.01)
