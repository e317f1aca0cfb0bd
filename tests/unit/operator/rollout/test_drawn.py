"""What the pods' counters say about a share."""

import random

import pytest

from llm_operator.rollout.drawn import Count, Draw, is_within_bounds, taken

SHARES = {"aaaa": 90, "bbbb": 10}


@pytest.mark.parametrize("requests", [{}, {"aaaa": 9, "bbbb": 1}, {"aaaa": 1}, {"bbbb": 1}])
def test_few_requests_speak_against_no_share(requests: dict[str, int]) -> None:
    assert is_within_bounds(SHARES, requests)


@pytest.mark.parametrize("requests", [{"aaaa": 100}, {"aaaa": 50, "bbbb": 50}, {"bbbb": 20}])
def test_many_that_went_otherwise_speak_against_it(requests: dict[str, int]) -> None:
    assert not is_within_bounds(SHARES, requests)


@pytest.mark.parametrize("shares", [SHARES, {"aaaa": 50, "bbbb": 50}, {"aaaa": 0, "bbbb": 100}])
def test_a_true_draw_is_within_bounds_nearly_always(shares: dict[str, int]) -> None:
    """Three standard deviations: 27 of 10,000 draws are outside by chance."""
    dice = random.Random(7)  # noqa: S311
    inside = 0
    for _ in range(300):
        drawn = dice.choices(list(shares), weights=list(shares.values()), k=400)
        inside += is_within_bounds(shares, {name: drawn.count(name) for name in shares})
    assert inside >= 295


def test_requests_are_counted_from_when_the_share_began() -> None:
    draw = Draw(shares=SHARES, since=0.0, first={"p1": 1000, "p2": 5})
    later = [Count("aaaa", "p1", 1090), Count("bbbb", "p2", 15)]
    assert taken(draw, later) == {"aaaa": 90, "bbbb": 10}


def test_a_pod_that_came_later_counts_from_its_start() -> None:
    draw = Draw(shares=SHARES, since=0.0, first={"p1": 1000})
    assert taken(draw, [Count("aaaa", "p1", 1000), Count("bbbb", "p2", 7)])["bbbb"] == 7


def test_a_pod_that_started_anew_counts_from_nought() -> None:
    draw = Draw(shares=SHARES, since=0.0, first={"p1": 1000})
    assert taken(draw, [Count("aaaa", "p1", 12)])["aaaa"] == 12


def test_pods_of_other_revisions_count_for_nothing() -> None:
    draw = Draw(shares=SHARES, since=0.0, first={})
    assert taken(draw, [Count("cccc", "p9", 50)]) == {"aaaa": 0, "bbbb": 0}
