from dataclasses import replace

from llm_client.errors import ModelNotFoundError, ServerError, TimedOutError, UnavailableError
from llm_client.tries import Failure, Tries

LOST = Failure("UNAVAILABLE", "Connection refused", is_down=True)
REFUSED = Failure("UNAVAILABLE", "going away")
LATE = Failure("DEADLINE_EXCEEDED", "Deadline Exceeded")


def tries() -> Tries:
    return Tries("qwen.team", ends=100)


def test_a_call_goes_on_until_there_is_a_connection() -> None:
    call = tries()
    assert [call.verdict(LOST, at, waits=False) for at in range(99)] == [None] * 99


def test_its_deadline_says_whom_it_did_not_reach_and_why() -> None:
    call = tries()
    call.verdict(LOST, 1, waits=False)
    error = call.verdict(replace(LATE, is_down=True), 100, waits=False)
    assert isinstance(error, UnavailableError)
    assert error.message == "No connection to qwen.team in time: Connection refused"


def test_a_try_that_is_lost_at_the_deadline_says_the_same() -> None:
    call = tries()
    call.verdict(LOST, 1, waits=False)
    error = call.verdict(LOST, 100, waits=False)
    assert isinstance(error, UnavailableError)
    assert "No connection to qwen.team" in error.message


def test_a_long_reason_is_cut() -> None:
    call = tries()
    call.verdict(replace(LOST, details="x" * 10_000), 1, waits=False)
    error = call.verdict(replace(LATE, is_down=True), 100, waits=False)
    assert error is not None
    assert len(error.message) < 400


def test_a_refusal_through_a_connection_is_tried_once_more() -> None:
    call = tries()
    assert call.verdict(REFUSED, 1, waits=False) is None
    assert isinstance(call.verdict(REFUSED, 2, waits=False), UnavailableError)


def test_a_channel_that_waits_by_itself_is_not_helped() -> None:
    assert isinstance(tries().verdict(LOST, 1, waits=True), UnavailableError)


def test_an_answer_that_has_begun_is_never_begun_again() -> None:
    error = tries().verdict(replace(LOST, has_begun=True), 1, waits=False)
    assert isinstance(error, UnavailableError)


def test_a_deadline_with_a_connection_is_only_late() -> None:
    assert isinstance(tries().verdict(LATE, 100, waits=False), TimedOutError)


def test_other_failures_are_the_callers() -> None:
    assert isinstance(tries().verdict(Failure("INTERNAL", ""), 1, waits=False), ServerError)


def test_an_unknown_name_is_said_at_once() -> None:
    details = "empty address list (LDS resource qwen.team: does not exist (node ID:llm-client))"
    for text in (details, "RDS resource qwen.team: could not find VirtualHost for qwen.team in …"):
        error = tries().verdict(replace(LOST, details=text), 1, waits=False)
        assert isinstance(error, ModelNotFoundError)
        assert error.message == (
            "No LLMDeployment qwen.team: the control plane knows none of that name"
        )


def test_a_cluster_that_is_not_told_yet_is_no_unknown_name() -> None:
    details = "empty address list (CDS resource team/qwen: does not exist (node ID:llm-client))"
    assert tries().verdict(replace(LOST, details=details), 1, waits=False) is None
