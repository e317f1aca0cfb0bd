import pytest
from bench.overhead import Overhead, Pair, median_interval


@pytest.mark.parametrize(
    ("count", "beyond"),
    [(6, 0), (9, 1), (12, 2), (20, 5)],  # as tables of the sign test have them
)
def test_the_interval_of_a_median_is_that_of_the_sign_test(count: int, beyond: int) -> None:
    values = [float(value) for value in reversed(range(count))]
    assert median_interval(values) == (beyond, count - 1 - beyond)


def test_pairs_are_compared_one_by_one() -> None:
    """A pair of sessions that is slow as a whole says nothing of what was added."""
    found = Overhead([Pair(1.0, 1.02), Pair(2.0, 2.04), Pair(3.0, 3.06)], generated=100)
    assert found.percent == pytest.approx(2.0)
    assert found.microseconds_per_token == pytest.approx(400.0)
