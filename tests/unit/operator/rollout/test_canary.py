"""How far a new revision gets, step by step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.rollout.canary import (
    Facts,
    Pause,
    Progress,
    SetWeight,
    Step,
    advance,
    percent,
    pods_of_step,
    time_left,
)

NOW = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)
STEPS = (SetWeight(10), Pause(), SetWeight(50), Pause(60))
GOOD = Facts(now=NOW, wanted=4, available=4, are_shares_true=True)
PROMOTED = replace(GOOD, action="promote@bbbb")

steps = st.lists(
    st.one_of(
        st.builds(SetWeight, st.integers(1, 100)),
        st.builds(Pause, st.one_of(st.none(), st.integers(1, 100))),
    ),
    min_size=1,
    max_size=6,
).map(tuple)


def test_a_share_is_over_when_its_pods_are_there_and_clients_follow_it() -> None:
    assert advance(Progress(), STEPS, GOOD).step == 1


@pytest.mark.parametrize(
    "facts", [replace(GOOD, are_shares_true=False), replace(GOOD, available=0)]
)
def test_a_share_is_not_over_before(facts: Facts) -> None:
    assert advance(Progress(), STEPS, facts).step == 0


def test_a_pause_without_a_time_lasts_until_the_revision_is_promoted() -> None:
    paused = advance(Progress(step=1), STEPS, GOOD)
    assert (paused.step, paused.paused_since) == (1, NOW)
    much_later = replace(GOOD, now=NOW + timedelta(days=30))
    assert advance(paused, STEPS, much_later) == paused
    assert advance(paused, STEPS, PROMOTED).step == 2


def test_a_pause_with_a_time_ends_by_itself() -> None:
    paused = advance(Progress(step=3), STEPS, GOOD)
    meanwhile = replace(GOOD, now=NOW + timedelta(seconds=20))
    assert time_left(paused, STEPS, meanwhile) == 40.0
    early, late = (replace(GOOD, now=NOW + timedelta(seconds=s)) for s in (59, 60))
    assert advance(paused, STEPS, early).step == 3
    assert advance(paused, STEPS, late).step == 4


def test_a_command_is_obeyed_once_while_it_stands() -> None:
    once = advance(Progress(step=1), STEPS, PROMOTED)
    again = advance(replace(once, step=1), STEPS, PROMOTED)
    assert (once.step, again.step) == (2, 1)


def test_a_command_that_was_taken_away_can_be_given_again() -> None:
    once = advance(Progress(step=1), STEPS, PROMOTED)
    without = advance(replace(once, step=1), STEPS, GOOD)
    assert without.last_action is None
    assert advance(without, STEPS, PROMOTED).step == 2


def test_a_share_that_never_comes_true_can_be_promoted_past() -> None:
    stuck = replace(PROMOTED, are_shares_true=False)
    assert advance(Progress(), STEPS, stuck).step == 1


@pytest.mark.parametrize(
    ("step", "wanted", "pods"), [(0, 4, 1), (0, 40, 4), (1, 40, 4), (2, 4, 2), (4, 4, 4), (0, 1, 1)]
)
def test_the_new_revision_has_pods_for_its_share(step: int, wanted: int, pods: int) -> None:
    assert pods_of_step(Progress(step=step), STEPS, wanted) == pods


@pytest.mark.parametrize(
    ("step", "available", "share"),
    [
        (0, 0, 0),
        (0, 1, 10),
        (1, 1, 10),
        (2, 1, 10),  # one pod carries the share of before until the second is there
        (2, 2, 50),
        (3, 2, 50),
        (4, 2, 50),
        (4, 4, 100),
        (3, 0, 0),  # its pods are gone again
    ],
)
def test_a_share_never_points_at_pods_that_are_not_there(
    step: int, available: int, share: int
) -> None:
    assert percent(Progress(step=step), STEPS, 4, available) == share


def test_a_pause_before_any_share_leaves_the_calls_to_the_stable_revision() -> None:
    assert percent(Progress(), (Pause(), SetWeight(20)), 4, 4) == 0


@given(
    steps, st.integers(1, 20), st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=30)
)
def test_a_canary_never_goes_back_and_never_skips(
    course: tuple[Step, ...], wanted: int, looks: list[tuple[int, bool]]
) -> None:
    progress = Progress()
    for number, (available, are_true) in enumerate(looks):
        facts = Facts(
            now=NOW + timedelta(seconds=10 * number),
            wanted=wanted,
            available=available,
            are_shares_true=are_true,
        )
        after = advance(progress, course, facts)
        assert progress.step <= after.step <= progress.step + 1
        assert 0 <= percent(after, course, wanted, available) <= 100
        assert 1 <= pods_of_step(after, course, wanted) <= wanted
        progress = after


def test_each_pod_that_comes_starts_the_time_anew() -> None:
    progress, facts = Progress(), replace(GOOD, wanted=40, available=0, deadline_seconds=60)
    for minute in range(4):
        facts = replace(facts, now=NOW + timedelta(seconds=50 * minute), available=minute)
        progress = advance(progress, (SetWeight(10),), facts)
        assert progress.abort is None
    assert time_left(progress, (SetWeight(10),), facts) == 60.0
    late = replace(facts, now=facts.now + timedelta(seconds=60))
    assert advance(progress, (SetWeight(10),), late).abort is not None


def test_a_pod_that_goes_starts_no_new_time() -> None:
    facts = replace(GOOD, wanted=40, available=2, deadline_seconds=60)
    progress = advance(Progress(), (SetWeight(10),), facts)
    fewer = replace(facts, now=NOW + timedelta(seconds=30), available=1)
    progress = advance(progress, (SetWeight(10),), fewer)
    late = replace(fewer, now=NOW + timedelta(seconds=60))
    assert advance(progress, (SetWeight(10),), late).abort is not None


commands = st.sampled_from(["promote@b", "promote-full@b", "abort@b", "retry@b", None])


@given(steps, st.lists(st.tuples(commands, st.integers(0, 9), st.booleans()), max_size=30))
def test_what_was_taken_back_gets_nothing_until_it_is_retried(
    steps: tuple[Step, ...], looks: list[tuple[str | None, int, bool]]
) -> None:
    progress = Progress()
    for number, (action, available, are_true) in enumerate(looks):
        now = NOW + timedelta(seconds=number)
        facts = Facts(
            now=now, wanted=4, available=available, are_shares_true=are_true, action=action
        )
        after = advance(progress, steps, facts)
        if progress.abort is not None and action != "retry@b":
            assert after.abort == progress.abort
        if after.abort is not None:
            assert percent(after, steps, 4, available) == pods_of_step(after, steps, 4) == 0
        progress = after
