"""A step down that did not hold is not tried again at the same load."""

import pytest

from llm_operator.autoscale.relapse import MEMORY_SECONDS, Relapse

WINDOW = 60.0
NOW = 2100.0
DROPPED = Relapse().dropped(1000.0, 2, 1.4)


def test_a_step_down_that_is_taken_back_soon_is_not_tried_again_at_that_load() -> None:
    known = DROPPED.raised(1030.0, 2, 1.8, WINDOW)
    assert known.fewest(NOW, 1.4) == 3
    assert known.fewest(NOW, 1.3) == 3


def test_at_clearly_less_load_it_is_tried_again() -> None:
    assert DROPPED.raised(1030.0, 2, 1.8, WINDOW).fewest(NOW, 1.2) == 0


@pytest.mark.parametrize(
    ("now", "before", "load"),
    [(1130.0, 2, 1.8), (1030.0, 2, 2.2), (1030.0, 3, 1.8)],
    ids=["much later", "far more load", "from another count"],
)
def test_a_raise_for_another_cause_says_nothing_of_the_step(
    now: float, before: int, load: float
) -> None:
    assert DROPPED.raised(now, before, load, WINDOW).fewest(NOW, 1.4) == 0


def test_without_a_step_down_there_is_nothing_to_take_back() -> None:
    assert Relapse().raised(10.0, 1, 0.0, WINDOW).fewest(NOW, 9.0) == 0


def test_the_newest_step_that_did_not_hold_is_the_one_that_counts() -> None:
    known = DROPPED.raised(1030.0, 2, 1.8, WINDOW).dropped(2000.0, 4, 3.0)
    assert known.fewest(NOW, 1.4) == 3
    assert known.raised(2010.0, 4, 3.2, WINDOW).fewest(NOW, 3.0) == 5


def test_after_an_hour_it_is_tried_again() -> None:
    known = DROPPED.raised(1030.0, 2, 1.8, WINDOW)
    assert known.fewest(1030.0 + MEMORY_SECONDS - 1, 1.4) == 3
    assert known.fewest(1030.0 + MEMORY_SECONDS, 1.4) == 0
