"""Shares are read off what a client counted."""

import pytest
from bench.shares import (
    Bucket,
    Reading,
    chance,
    herding,
    last_call,
    merged,
    points_off,
    reached,
    sigmas_off,
)


def buckets(*counts: dict[str, int], step: float = 0.1) -> list[Bucket]:
    return [Bucket(100 + step * (n + 1), answers) for n, answers in enumerate(counts)]


def test_points_are_between_the_share_and_what_it_should_be() -> None:
    assert points_off({"old": 890, "new": 110}, ["new"], 10) == pytest.approx(1.0)


def test_sigmas_shrink_with_the_number_of_calls() -> None:
    few = sigmas_off({"old": 85, "new": 15}, ["new"], 10)
    many = sigmas_off({"old": 8500, "new": 1500}, ["new"], 10)
    assert few == pytest.approx(5 / 3)
    assert many == pytest.approx(10 * few)


def test_a_share_is_reached_when_half_a_second_shows_it() -> None:
    course = buckets(*[{"old": 10}] * 3, {"new": 10}, *[{"old": 5, "new": 5}] * 8)
    assert reached(course, ["new"], 0.45, 100.0) == pytest.approx(0.3)


def test_one_lucky_bucket_reaches_nothing() -> None:
    course = buckets(*[{"old": 10}] * 3, {"new": 10}, *[{"old": 10}] * 8)
    assert reached(course, ["new"], 0.45, 100.0) is None


def test_the_last_call_counts_from_the_event() -> None:
    course = buckets({"a": 1}, {"a": 1, "b": 1}, {"b": 1})
    assert last_call(course, "a", 100.0) == pytest.approx(0.2)
    assert last_call(course, "a", 100.25) == 0.0


def test_buckets_are_summed() -> None:
    whole = merged(buckets({"a": 1, "error UNAVAILABLE": 1}, {"a": 2}))
    assert (whole.answers["a"], whole.errors, whole.calls(["a"])) == (3, 1, 3)


def test_herding_is_the_worst_window_of_any_pod() -> None:
    fair = {"a": 0.5, "b": 0.5}
    readings = [
        Reading(0, {"a": 0, "b": 0}),
        Reading(5, {"a": 10, "b": 10}),
        Reading(10, {"a": 19, "b": 11}),
    ]
    assert herding(readings, fair, 5.0) == pytest.approx(1.8)


def test_a_pod_with_a_small_fair_share_is_measured_by_it() -> None:
    fair = {"fast": 0.75, "slow": 0.25}
    readings = [Reading(0, {"fast": 0, "slow": 0}), Reading(5, {"fast": 5, "slow": 5})]
    assert herding(readings, fair, 5.0) == pytest.approx(2.0)


def test_chance_alone_herds_few_requests_and_hardly_many() -> None:
    fair = {"a": 0.75, "b": 0.25}

    def at(rate: int) -> float:
        readings = [Reading(float(t), {"a": 3 * rate * t, "b": rate * t}) for t in range(20)]
        assert herding(readings, fair, 5.0) == 1.0
        return chance(readings, fair, 5.0)

    assert at(1000) < 1.1
    assert at(1) > 1.4


def test_what_was_not_measured_meets_no_target() -> None:
    assert not herding([], {"a": 1.0}, 5.0) <= 1.5
