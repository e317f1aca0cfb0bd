"""What pods take to start, pod by pod."""

import pytest

from llm_operator.autoscale.observation import Observation, PodReport
from llm_operator.autoscale.startup import LONGEST_SECONDS, Startups


def at(now: float, ready: str = "", awaited: str = "") -> Observation:
    """Pods whose uids are one letter each."""
    pods = tuple(PodReport(uid=uid, load=None) for uid in ready)
    return Observation(now=now, pods=pods, awaited=tuple(awaited), current=1)


def learned(*moments: Observation) -> Startups:
    startups = Startups()
    for moment in moments:
        startups = startups.see(moment)
    return startups


def test_a_start_is_from_the_first_sight_of_a_pod_to_its_being_ready() -> None:
    assert learned(at(0, "a"), at(10, "a", "b"), at(30, "a", "b"), at(50, "ab")).took == (40,)


def test_a_sibling_that_never_starts_spoils_no_start() -> None:
    """It was awaited for longest, and every start was counted as its."""
    startups = learned(
        at(0, "a"),
        at(10, "a", "x"),
        at(1000, "a", "xb"),
        at(1011, "ab", "x"),
        at(2000, "ab", "xc"),
        at(2012, "abc", "x"),
    )
    assert (startups.took, startups.p90) == ((11, 12), 12)


def test_of_what_was_there_before_us_nothing_is_learned() -> None:
    assert learned(at(0, "", "a"), at(10, "a")).took == ()


def test_a_pod_that_is_ready_again_has_not_started_again() -> None:
    flapping = (at(20, "", "a"), at(22, "a"), at(23, "", "a"), at(500, "a"))
    assert learned(at(0), at(5, "", "a"), at(15, "a"), *flapping).took == (10,)


@pytest.mark.parametrize("seconds", [LONGEST_SECONDS + 1, 86_400])
def test_a_start_that_takes_too_long_is_a_fault(seconds: float) -> None:
    assert learned(at(0), at(1, "", "a"), at(1 + seconds, "a")).took == ()


def test_pods_that_are_gone_are_forgotten() -> None:
    assert set(learned(at(0, "a", "b"), at(1, "c", "d")).since or ()) == {"c", "d"}
