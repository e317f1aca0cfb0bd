"""The audit of kopf's watch: blind is told from slow."""

from llm_operator.kube.store import Key
from llm_operator.reconcile.roster import Roster

A, B = Key("n", "a"), Key("n", "b")


def test_a_watch_that_tells_everything_is_never_doubted() -> None:
    roster = Roster()
    roster.saw(A, "5")
    assert roster.audit({A: "5"}) == []
    assert roster.audit({A: "5"}) == []


def test_an_event_that_is_still_under_way_is_forgiven() -> None:
    roster = Roster()
    assert roster.audit({A: "5"}) == []
    roster.saw(A, "6")
    assert roster.audit({A: "6"}) == []


def test_a_version_that_two_audits_list_and_no_event_brought_is_missed() -> None:
    roster = Roster()
    roster.saw(A, "5")
    roster.saw(B, "5")
    roster.audit({A: "9", B: "5"})
    assert roster.audit({A: "9", B: "5"}) == ["n/a"]


def test_an_object_that_changes_all_the_time_is_not_missed_while_events_come() -> None:
    roster = Roster()
    for version in range(10, 100, 10):
        roster.saw(A, str(version))
        assert roster.audit({A: str(version + 1)}) == []


def test_an_object_that_was_deleted_between_two_audits_is_not_missed() -> None:
    roster = Roster()
    roster.audit({A: "5"})
    assert roster.audit({}) == []


def test_events_that_are_newer_than_the_list_are_fine() -> None:
    roster = Roster()
    roster.saw(A, "10")
    roster.audit({A: "9"})
    assert roster.audit({A: "9"}) == []
