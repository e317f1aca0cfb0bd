import pytest
from bench.autoscaler_sim.frontier import at, frontier

LINE = ((2.0, 100.0), (4.0, 50.0), (5.0, 40.0))


def test_a_setting_that_another_beats_in_both_is_not_on_the_line() -> None:
    points = [(4.0, 50.0), (2.0, 100.0), (3.0, 120.0), (5.0, 40.0), (5.0, 60.0), (6.0, 40.0)]
    assert frontier(points) == LINE


@pytest.mark.parametrize(
    ("hours", "violations"), [(1.0, 100.0), (2.0, 100.0), (3.0, 75.0), (4.5, 45.0), (9.0, 40.0)]
)
def test_between_settings_the_line_is_straight_and_beyond_them_level(
    hours: float, violations: float
) -> None:
    assert at(LINE, hours) == violations
