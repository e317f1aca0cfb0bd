import pytest

from llm_runtime.engine.occupancy import Occupancy


def test_the_difference_of_two_sums_is_the_exact_mean_between() -> None:
    before = Occupancy().see(1.0, 2)
    after = before.see(1.5, 10).see(1.6, 0).see(3.0)
    assert after.request_seconds - before.request_seconds == pytest.approx(2 * 0.5 + 10 * 0.1)
    assert (after.at, after.requests) == (3.0, 0)
