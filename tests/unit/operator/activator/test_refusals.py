"""What the activator itself says: a reason and what to do, and nothing of the request."""

import grpc
import pytest

from llm_operator.activator import refusals
from llm_operator.activator.metadata import retry_hint
from llm_operator.activator.room import Shortage
from llm_operator.activator.verdict import Status


@pytest.mark.parametrize("shortage", list(Shortage))
def test_whoever_finds_no_room_is_told_what_is_full_and_when_to_come_again(
    shortage: Shortage,
) -> None:
    status = refusals.full(shortage)
    assert status.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "retry in 5000 ms" in status.details
    assert retry_hint(status.trailers) == 5000


def test_each_bound_has_words_of_its_own() -> None:
    assert len({refusals.full(shortage).details for shortage in Shortage}) == len(Shortage)


def test_whoever_waited_too_long_is_told_the_field_that_says_so() -> None:
    status = refusals.waited(300.0)
    assert status.code is grpc.StatusCode.UNAVAILABLE
    assert status.details == ("No pod became ready within 300 s (scaleToZero.holdTimeoutSeconds)")


@pytest.mark.parametrize("status", [refusals.LEAVING, refusals.GONE, refusals.BROKEN_OFF])
def test_what_is_sent_away_may_be_tried_again(status: Status) -> None:
    assert status.code is grpc.StatusCode.UNAVAILABLE
    assert status.details.endswith("retry")
