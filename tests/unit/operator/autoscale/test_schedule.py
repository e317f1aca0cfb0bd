"""Floors at certain times."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_operator.api.llmdeployment import ScheduleSpec
from llm_operator.autoscale.schedule import floor, impossible


def schedule(cron: str, zone: str = "Etc/UTC", **changes: Any) -> ScheduleSpec:
    return ScheduleSpec(
        cron=cron, time_zone=zone, **{"duration_seconds": 3600, "min_replicas": 3, **changes}
    )


def at(text: str, zone: str = "Etc/UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def replicas(when: float, *schedules: ScheduleSpec) -> int:
    return floor(when, schedules).replicas


def test_a_floor_holds_from_its_minute_on_for_its_duration() -> None:
    morning = schedule("0 8 * * *")
    start = at("2026-11-24T08:00")
    assert [replicas(start + s, morning) for s in (-0.5, 0, 3599.5, 3600)] == [0, 3, 3, 0]


def test_a_floor_says_until_when_it_is_the_same() -> None:
    morning, start = (schedule("0 8 * * *"),), at("2026-11-24T08:00")
    assert floor(start - 60, morning).until == start
    assert floor(start, morning).until == start + 3600


def test_of_overlapping_floors_the_highest_holds() -> None:
    start = at("2026-11-24T08:30")
    both = schedule("0 8 * * *"), schedule("15 8 * * *", min_replicas=7)
    assert replicas(start, *both) == 7


def test_a_duration_may_be_longer_than_the_time_between_two_beginnings() -> None:
    always = schedule("0 * * * *", duration_seconds=7200)
    start = at("2026-11-24T08:00")
    assert {replicas(start + minute * 60, always) for minute in range(300)} == {3}


def test_working_days_are_those_of_the_time_zone() -> None:
    monday = schedule("0 0 * * 1", "Pacific/Auckland")
    assert replicas(at("2026-11-23T00:10", "Pacific/Auckland"), monday) == 3
    assert replicas(at("2026-11-23T00:10"), monday) == 0


@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"])
def test_eight_in_paris_stays_eight_in_paris_when_clocks_change(day: str) -> None:
    morning = schedule("0 8 * * *", "Europe/Paris")
    start = at(f"{day}T08:00", "Europe/Paris")
    assert [replicas(start + s, morning) for s in (-1, 0, 3599, 3600)] == [0, 3, 3, 0]


def test_a_time_that_a_change_of_clocks_skips_comes_right_after_it() -> None:
    skipped = schedule("30 2 * * *", "Europe/Paris")
    assert replicas(at("2026-03-29T03:05", "Europe/Paris"), skipped) == 3


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("0 8 * * *", "Mars/Olympus", "timeZone"),
        ("0 8 * * *", "America", "timeZone"),
        ("0 8 * * *", "../../etc/passwd", "timeZone"),
        ("0 25 * * *", "Etc/UTC", "cron"),
        ("0 8 * *", "Etc/UTC", "cron"),
        ("61 * * * *", "Etc/UTC", "cron"),
        ("0 9-8 * * *", "Etc/UTC", "cron"),
        ("0 0 30 2 *", "Etc/UTC", "cron"),
        ("0 0 31 4,6,9,11 *", "Etc/UTC", "cron"),
        ("0 0 31 11 */2", "Etc/UTC", "cron"),
    ],
)
def test_an_impossible_schedule_is_refused_with_its_field(cron: str, zone: str, field: str) -> None:
    why = impossible(schedule(cron, zone))
    assert why is not None
    assert why.startswith(f"{field}: ")
    assert "\n" not in why


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/5 8-18 * * 1-5", "0 0 30 2 1", "0 0 31 * *"])
def test_what_comes_however_seldom_is_possible(cron: str) -> None:
    assert impossible(schedule(cron, "Europe/Paris")) is None


def test_an_impossible_schedule_that_got_through_asks_for_nothing() -> None:
    whole = (schedule("0 0 30 2 *"), schedule("0 8 * * *", "Mars/Olympus"))
    assert floor(at("2026-11-24T08:30"), whole).replicas == 0


def test_a_floor_is_computed_again_when_its_time_is_over_or_the_spec_changes() -> None:
    morning = (schedule("0 8 * * *"),)
    found = floor(at("2026-11-24T08:30"), morning)
    assert found.holds(at("2026-11-24T08:59"), morning)
    assert not found.holds(at("2026-11-24T09:00"), morning)
    assert not found.holds(at("2026-11-24T08:59"), ())
