import dataclasses

import pytest

import llm_client
from llm_client.errors import LLMError, OverloadedError, TimedOutError, UnavailableError, error_of
from llm_client.results import Finish, FinishReason, answer_of, chunk_of, model_info_of
from llm_client.v1 import inference_pb2 as pb


def test_the_first_chunk_knows_the_prompt() -> None:
    chunk = chunk_of(
        pb.GenerateResponse(
            prompt_info=pb.PromptInfo(request_id="r", model="m", num_prompt_tokens=0), text="Hi"
        )
    )
    assert (chunk.request_id, chunk.prompt_tokens, chunk.text) == ("r", 0, "Hi")


def test_a_middle_chunk_knows_only_its_text() -> None:
    chunk = chunk_of(pb.GenerateResponse(text="x", token_ids=[3]))
    assert (chunk.prompt_tokens, chunk.finish, chunk.token_ids) == (None, None, (3,))


@pytest.mark.parametrize(
    ("info", "finish"),
    [
        (
            pb.FinishInfo(reason=pb.FINISH_REASON_STOP, num_output_tokens=2, stop_token_id=0),
            Finish(FinishReason.STOP, 2, stop_token_id=0),
        ),
        (
            pb.FinishInfo(reason=pb.FINISH_REASON_STOP, num_output_tokens=2, stop_string="x"),
            Finish(FinishReason.STOP, 2, stop_string="x"),
        ),
        (
            pb.FinishInfo(reason=pb.FINISH_REASON_ABORTED, num_output_tokens=1),
            Finish(FinishReason.ABORTED, 1),
        ),
    ],
)
def test_the_end_says_what_matched(info: pb.FinishInfo, finish: Finish) -> None:
    assert chunk_of(pb.GenerateResponse(finish_info=info)).finish == finish


def test_a_reason_of_a_newer_server_is_unknown_and_no_error() -> None:
    message = pb.GenerateResponse.FromString(b"\x22\x02\x08\x63")  # finish_info.reason = 99
    assert answer_of(message).finish.reason is FinishReason.UNKNOWN


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        chunk_of(pb.GenerateResponse()).text = "changed"  # type: ignore[misc]


def test_model_info_carries_every_field_of_the_contract() -> None:
    fields = {field.name for field in pb.GetModelInfoResponse.DESCRIPTOR.fields}
    info = model_info_of(pb.GetModelInfoResponse(eos_token_ids=[4]))
    assert {field.name for field in dataclasses.fields(info)} == fields
    assert info.eos_token_ids == (4,)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAVAILABLE", UnavailableError),
        ("DEADLINE_EXCEEDED", TimedOutError),
        ("RESOURCE_EXHAUSTED", OverloadedError),
        ("DATA_LOSS", LLMError),
    ],
)
def test_each_status_has_its_own_error_and_keeps_its_code(code: str, kind: type[LLMError]) -> None:
    error = error_of(code, "Why", None)
    assert type(error) is kind
    assert (error.code, error.message, str(error)) == (code, "Why", f"{code}: Why")


def test_the_hint_of_the_server_becomes_seconds() -> None:
    error = error_of("RESOURCE_EXHAUSTED", "", [("x", b"1"), ("retry-after-ms", "1500")])
    assert error.retry_after == 1.5


def test_the_public_names_are_these() -> None:
    classes = {name for name in vars(llm_client) if name[0].isupper()}
    assert set(llm_client.__all__) == classes | {"connect", "connect_sync"}


def test_a_connection_that_closes_after_the_deadline_is_a_deadline() -> None:
    """A server that shuts down sees the deadline, too, and goes."""
    assert isinstance(error_of("UNAVAILABLE", "Socket closed", None, is_over=True), TimedOutError)
    assert isinstance(error_of("UNAVAILABLE", "Socket closed", None), UnavailableError)
