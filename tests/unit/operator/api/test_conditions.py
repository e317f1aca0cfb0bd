"""Conditions: their time moves with their status, and none is left stale."""

from datetime import timedelta

from llm_operator.api.conditions import (
    MESSAGE_LIMIT,
    Condition,
    ConditionType,
    Reason,
    moment,
    timestamp,
    with_history,
)
from support.worlds import NOW

LATER = NOW + timedelta(hours=1)


def starting(message: str = "0 of 1") -> Condition:
    return Condition(ConditionType.AVAILABLE, "False", Reason.STARTING, message)


def test_the_time_of_transition_stays_while_only_the_reason_changes() -> None:
    first = with_history([starting()], [], generation=1, now=NOW)
    crash = Condition(ConditionType.AVAILABLE, "False", Reason.OOM_KILLED, "killed")
    (second,) = with_history([crash], first, generation=2, now=LATER)
    assert second["lastTransitionTime"] == timestamp(NOW)
    assert second["observedGeneration"] == 2
    assert second["reason"] == "OOMKilled"


def test_the_time_of_transition_moves_with_the_status() -> None:
    first = with_history([starting()], [], generation=1, now=NOW)
    there = Condition(ConditionType.AVAILABLE, "True", Reason.MINIMUM_REPLICAS_AVAILABLE, "1 of 1")
    (second,) = with_history([there], first, generation=1, now=LATER)
    assert second["lastTransitionTime"] == timestamp(LATER)


def test_a_condition_that_does_not_apply_goes() -> None:
    first = with_history([starting()], [], generation=1, now=NOW)
    assert with_history([], first, generation=1, now=LATER) == []


def test_a_long_message_is_cut() -> None:
    (stored,) = with_history([starting("x" * 10_000)], [], generation=1, now=NOW)
    assert len(stored["message"]) == MESSAGE_LIMIT


def test_a_time_is_read_as_it_was_written() -> None:
    assert moment(timestamp(NOW)) == NOW
    assert moment("2027-01-01T12:00:00.000000Z") == NOW
