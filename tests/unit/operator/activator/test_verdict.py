"""What becomes of a call when a pod's answer has ended."""

import math

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_operator.activator.metadata import RETRY_HINT, Pairs
from llm_operator.activator.verdict import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    TRIES,
    PassOn,
    Status,
    TryAgain,
    verdict,
)

UNAVAILABLE = Status(grpc.StatusCode.UNAVAILABLE)
codes = st.sampled_from(list(grpc.StatusCode))
hints = st.one_of(
    st.integers(-1, 5000).map(str),
    st.integers(-(10**400), 10**400).map(str),
    st.text(),
    st.binary(),
)
counts = st.integers(0, TRIES - 1)
"""How often a call that is still held can have been broken off."""
statuses = st.builds(
    Status,
    codes,
    st.text(),
    st.lists(st.tuples(st.sampled_from([RETRY_HINT, "x-other"]), hints), max_size=3).map(tuple),
)


def full(hint: str) -> Status:
    return Status(grpc.StatusCode.RESOURCE_EXHAUSTED, "", hinting(hint))


def hinting(hint: str) -> Pairs:
    return ((RETRY_HINT, hint),)


def judged(status: Status, broken: int = 0) -> PassOn | TryAgain:
    return verdict(status, broken, is_untouched=True)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_what_a_pod_breaks_off_is_tried_again_with_growing_pauses(code: grpc.StatusCode) -> None:
    pauses, broken = [], 0
    while isinstance(step := judged(Status(code), broken), TryAgain):
        pauses.append(step.seconds)
        broken = step.broken
    assert pauses == [0.05, 0.1, 0.2, 0.4]
    assert len(pauses) + 1 == TRIES
    assert max(pauses) <= LONGEST_PAUSE_SECONDS


def test_a_full_queue_is_asked_again_when_it_wishes_and_is_not_a_broken_call() -> None:
    assert judged(full("1500"), 3) == TryAgain(1.5, broken=3)


def test_full_queues_take_no_try_away_from_a_call_that_is_broken_off_later() -> None:
    broken = 0
    for _ in range(2 * TRIES):
        step = judged(full("1"), broken)
        assert isinstance(step, TryAgain)
        broken = step.broken
    assert isinstance(judged(UNAVAILABLE, broken), TryAgain)


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_a_pod_that_asks_for_no_pause_gets_one(code: grpc.StatusCode) -> None:
    step = judged(Status(code, "", hinting("0")))
    assert isinstance(step, TryAgain)
    assert step.seconds == FIRST_PAUSE_SECONDS


def test_a_full_queue_is_not_asked_again_when_the_call_was_held_for_long_enough() -> None:
    assert verdict(full("1"), 0, is_untouched=True, is_late=True) == PassOn()


def test_a_full_queue_without_a_hint_is_the_clients() -> None:
    assert judged(Status(grpc.StatusCode.RESOURCE_EXHAUSTED)) == PassOn()


@pytest.mark.parametrize("hint", ["-1", "", "soon", "1.5", "9" * 400, "٣"])
def test_a_pod_that_asks_for_no_other_try_gets_none(hint: str) -> None:
    assert judged(full(hint)) == PassOn()
    assert judged(Status(grpc.StatusCode.UNAVAILABLE, "", hinting(hint))) == PassOn()


@given(statuses, counts, st.booleans())
def test_what_the_client_has_had_a_part_of_is_never_tried_again(
    status: Status, broken: int, is_late: bool
) -> None:
    assert verdict(status, broken, is_untouched=False, is_late=is_late) == PassOn()


@given(statuses, counts)
def test_no_answer_is_tried_again_in_a_tight_loop_or_never(status: Status, broken: int) -> None:
    step = judged(status, broken)
    if isinstance(step, TryAgain):
        assert FIRST_PAUSE_SECONDS <= step.seconds < math.inf
        assert broken <= step.broken < TRIES


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code.name not in ("UNAVAILABLE", "CANCELLED")]
)
def test_whatever_else_a_pod_says_is_the_clients(code: grpc.StatusCode) -> None:
    assert judged(Status(code)) == PassOn()
