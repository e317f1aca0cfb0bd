import itertools
import math
from random import Random

import pytest
from bench.load.arrivals import Arrival, Open, schedule
from bench.load.lengths import Lengths
from bench.load.phases import Burst, Poisson, Ramp, Trace
from hypothesis import given
from hypothesis import strategies as st

seeds = st.integers(0, 2**32)
rates = st.floats(0.1, 200)
times = st.floats(0.1, 20)
phases: st.SearchStrategy[Open] = st.one_of(
    st.builds(Poisson, rate=rates, seconds=times),
    st.builds(Ramp, start=rates, end=st.floats(0, 200), seconds=times),
    st.builds(Ramp, start=st.just(0.0), end=rates, seconds=times),
    st.builds(Burst, size=st.integers(1, 20), every=st.floats(0.1, 30), seconds=times),
)


def offsets(phase: Open, seed: int = 0) -> list[float]:
    return [arrival.at for arrival in schedule(phase, Random(seed))]  # noqa: S311


@given(phases, seeds)
def test_arrivals_are_in_order_and_within_their_phase(phase: Open, seed: int) -> None:
    found = offsets(phase, seed)
    assert all(before <= after for before, after in itertools.pairwise(found))
    assert isinstance(phase, Trace) or all(0 <= at < phase.seconds for at in found)


@given(phases, seeds)
def test_the_same_seed_makes_the_same_arrivals(phase: Open, seed: int) -> None:
    assert offsets(phase, seed) == offsets(phase, seed)


def test_another_seed_makes_other_arrivals() -> None:
    assert offsets(Poisson(10, 10), 1) != offsets(Poisson(10, 10), 2)


@given(seeds, st.floats(5, 100))
def test_a_poisson_phase_has_its_rate(seed: int, rate: float) -> None:
    """Six standard deviations: wrong once in five hundred million."""
    wanted = rate * 100
    assert abs(len(offsets(Poisson(rate, 100), seed)) - wanted) <= 6 * math.sqrt(wanted)


@given(seeds)
def test_gaps_of_a_poisson_phase_are_exponential(seed: int) -> None:
    """Of exponential gaps the share e^-1 is longer than their mean, and their deviation is it."""
    found = offsets(Poisson(50, 200), seed)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    longer = sum(gap > 1 / 50 for gap in gaps) / len(gaps)
    assert longer == pytest.approx(math.exp(-1), abs=0.03)


@given(seeds, st.floats(0, 40), st.floats(5, 40))
def test_each_half_of_a_ramp_has_its_share(seed: int, start: float, end: float) -> None:
    found = offsets(Ramp(start, end, 200), seed)
    middle = (start + end) / 2
    for lower, begin, finish in ((0, start, middle), (100, middle, end)):
        wanted = 100 * (begin + finish) / 2
        seen = sum(lower <= at < lower + 100 for at in found)
        assert abs(seen - wanted) <= 6 * math.sqrt(wanted) + 1


def test_a_ramp_that_does_not_rise_is_a_poisson_phase() -> None:
    assert offsets(Ramp(10, 10, 50)) == pytest.approx(offsets(Poisson(10, 50)))


def test_bursts_come_at_the_start_and_then_as_often_as_asked() -> None:
    assert offsets(Burst(2, 10, 25)) == [0, 0, 10, 10, 20, 20]
    assert offsets(Burst(3, 10, 10)) == [0, 0, 0]


def test_a_trace_is_played_at_its_speed_with_its_lengths() -> None:
    traced = (Arrival(0.0, Lengths(5, 6)), Arrival(3.0, Lengths(7, 8)))
    played = list(schedule(Trace("a.csv", 2.0), Random(0), traced))  # noqa: S311
    assert played == [Arrival(0.0, Lengths(5, 6)), Arrival(1.5, Lengths(7, 8))]
