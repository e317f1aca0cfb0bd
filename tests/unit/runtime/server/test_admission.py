from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.batch import Load
from llm_runtime.server.admission import Bounds, Reason, admit, check_room

BOUNDS = Bounds(slots=2, max_queue=3, max_queued_tokens=100)


def test_a_free_slot_is_given_whatever_the_prompts_length() -> None:
    assert admit(Load(running=1), 10_000, BOUNDS) is None


def test_a_request_may_wait_while_the_queue_has_room() -> None:
    assert admit(Load(running=2, waiting=2, tokens_queued=20), 10, BOUNDS) is None


def test_a_full_queue_refuses() -> None:
    rejection = admit(Load(running=2, waiting=3, tokens_queued=3), 1, BOUNDS)
    assert rejection is not None
    assert rejection.reason is Reason.QUEUE_FULL
    assert "3 requests may wait" in rejection.message


def test_room_is_told_without_a_prompt() -> None:
    full = check_room(Load(running=2, waiting=3, tokens_queued=3), BOUNDS)
    assert full is not None
    assert full.reason is Reason.QUEUE_FULL
    assert check_room(Load(running=2, waiting=2, tokens_queued=500), BOUNDS) is None
    assert check_room(Load(running=1), Bounds(slots=2, max_queue=0, max_queued_tokens=1)) is None


def test_waiting_requests_that_will_take_free_slots_do_not_fill_the_queue() -> None:
    assert admit(Load(running=0, waiting=4), 1, BOUNDS) is None
    assert admit(Load(running=0, waiting=5), 1, BOUNDS) is not None


def test_too_many_waiting_tokens_refuse_with_the_numbers() -> None:
    rejection = admit(Load(running=2, waiting=1, tokens_queued=60), 50, BOUNDS)
    assert rejection is not None
    assert rejection.reason is Reason.QUEUED_TOKENS
    assert "60 prompt tokens, 50 more exceed 100" in rejection.message


def test_the_first_to_wait_may_be_long() -> None:
    assert admit(Load(running=2), 5000, BOUNDS) is None


@given(st.integers(0, 2), st.integers(0, 400), st.integers(0, 10**6), st.integers(1, 10**6))
def test_the_hint_is_bounded_and_grows_with_the_queue(
    running: int, waiting: int, queued: int, prompt: int
) -> None:
    rejection = admit(Load(running, waiting, 0, queued), prompt, BOUNDS)
    if rejection is None:
        return
    longer = admit(Load(running, waiting + 10, 0, queued), prompt, BOUNDS)
    assert longer is not None
    assert 500 <= rejection.retry_after_ms <= longer.retry_after_ms <= 30_000
