import pytest

from llm_operator.control.clock_offset import DRIFT, ClockOffset


def test_the_message_that_came_fastest_tells_the_offset() -> None:
    offset = ClockOffset.first(1000.4, 10.0)
    for ours, theirs in ((1001.1, 11.0), (1002.9, 12.0)):
        offset = offset.see(ours, theirs)
    assert offset.ours(12.0) == pytest.approx(1002.1, abs=1e-3)


def test_clocks_that_part_slowly_are_followed_both_ways() -> None:
    for drift in (-DRIFT / 2, DRIFT / 2):
        offset = ClockOffset.first(0.0, 0.0)
        for second in range(0, 100_000, 5):
            theirs = second * (1 + drift)
            offset = offset.see(float(second), theirs)
            assert offset.ours(theirs) == pytest.approx(second, abs=0.01)
