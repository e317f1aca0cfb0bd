"""Floors at certain times. Pure: the time is an argument.

Cron fields are read as Debian's cron does (cronsim): local times that a change of clocks skips
happen right after it, those that come twice happen once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from llm_operator.api.llmdeployment import ScheduleSpec


@dataclass(frozen=True, slots=True)
class Floor:
    """The fewest pods that schedules ask for."""

    schedules: tuple[ScheduleSpec, ...] = ()
    """What it was computed from."""
    since: float = 0.0
    until: float | None = None
    """It holds from `since` until then (seconds since the epoch); None: for ever."""
    replicas: int = 0
    """0 where no schedule is active."""

    def holds(self, now: float, schedules: tuple[ScheduleSpec, ...]) -> bool:
        """Whether it still is the answer."""
        is_current = self.since <= now and (self.until is None or now < self.until)
        return is_current and self.schedules == schedules


def floor(now: float, schedules: tuple[ScheduleSpec, ...]) -> Floor:
    """The floor at `now` and until when it is the same. A schedule that `impossible` refuses asks
    for nothing."""
    possible = [schedule for schedule in schedules if impossible(schedule) is None]
    spans = [(schedule, *_around(schedule, now)) for schedule in possible]
    active = [schedule.min_replicas for schedule, end, _ in spans if end is not None]
    changes = [at for _, end, start in spans for at in (end, start) if at is not None]
    return Floor(
        schedules=schedules,
        since=now,
        until=min(changes, default=None),
        replicas=max(active, default=0),
    )


def impossible(schedule: ScheduleSpec) -> str | None:
    """Why the schedule can never hold, naming its field; None where it can."""
    zone = _zone(schedule.time_zone)
    if zone is None:
        return (
            f"timeZone: {schedule.time_zone} is no time zone: "
            "take a name of the tz database, for example Europe/Paris"
        )
    try:
        # Any year does: what does not come within fifty years never comes.
        comes = next(CronSim(schedule.cron, datetime(2026, 1, 1, tzinfo=zone)), None)
    except CronSimError as error:
        return f"cron: {schedule.cron}: {str(error).lower()}: {_SYNTAX}"
    if comes is None:
        return f"cron: {schedule.cron}: that date never comes"
    return None


_SYNTAX = "write minute hour day-of-month month day-of-week, for example 0 8 * * 1-5"


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None


def _around(schedule: ScheduleSpec, now: float) -> tuple[float | None, float | None]:
    """When the schedule's floor ends if it holds at `now`, and when it next begins."""
    moment = datetime.fromtimestamp(int(now), _zone(schedule.time_zone))
    last = next(CronSim(schedule.cron, moment + timedelta(seconds=1), reverse=True), None)
    coming = next(CronSim(schedule.cron, moment), None)
    end = last.timestamp() + schedule.duration_seconds if last else None
    is_active = end is not None and now < end
    return end if is_active else None, coming.timestamp() if coming else None
