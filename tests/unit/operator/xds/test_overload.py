"""How much of the ring an endpoint has."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.xds.overload import STEPS, WHOLE, weight

known = st.sampled_from([WHOLE, *(lowered for _, lowered in STEPS)])


@pytest.mark.parametrize(
    ("utilization", "part"), [(0.01, 100), (0.99, 100), (1.0, 50), (1.99, 50), (2.0, 25), (9.0, 25)]
)
def test_the_more_is_waiting_the_smaller_its_part(utilization: float, part: int) -> None:
    assert weight(utilization, WHOLE) == part


@pytest.mark.parametrize("before", [50, 25])
def test_it_gets_its_part_back_only_when_it_is_well_below_the_limit(before: int) -> None:
    assert weight(0.8, before) == 50
    assert weight(0.6, before) == WHOLE


@pytest.mark.parametrize("utilization", [None, math.nan, math.inf, -1.0, 0.0])
@pytest.mark.parametrize("before", [100, 25])
def test_what_cannot_be_true_lowers_nothing(utilization: float | None, before: int) -> None:
    assert weight(utilization, before) == WHOLE


@given(known, st.floats(0.01, 10), st.floats(0.01, 10))
def test_more_load_never_means_a_larger_part(before: int, one: float, other: float) -> None:
    assert weight(max(one, other), before) <= weight(min(one, other), before)


@given(known, st.floats(0.01, 10))
def test_a_load_that_stays_moves_the_part_once_at_most(before: int, utilization: float) -> None:
    once = weight(utilization, before)
    assert weight(utilization, once) == once
