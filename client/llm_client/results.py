"""What calls return: frozen values without a trace of protobuf."""

from dataclasses import dataclass
from enum import StrEnum

from llm_client.v1 import inference_pb2 as pb


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


_REASONS = {
    pb.FINISH_REASON_STOP: FinishReason.STOP,
    pb.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    pb.FINISH_REASON_ABORTED: FinishReason.ABORTED,
}


@dataclass(frozen=True, slots=True)
class Finish:
    """How an answer ended; at most one of the stops is set."""

    reason: FinishReason
    output_tokens: int
    stop_token_id: int | None = None
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer.

    The first one has `request_id` and `prompt_tokens`, the last one `finish`.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    request_id: str = ""
    prompt_tokens: int | None = None
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    text: str
    token_ids: tuple[int, ...]
    request_id: str
    model: str
    prompt_tokens: int
    finish: Finish


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model this is, and what limits hold. Lengths are tokens."""

    model: str
    artifact_digest: str
    family: str
    precision: str
    max_context_length: int
    vocab_size: int
    eos_token_ids: tuple[int, ...]
    has_chat_template: bool
    max_concurrent_sequences: int
    max_queue: int
    runtime_version: str


def chunk_of(message: pb.GenerateResponse) -> Chunk:
    """Reads one message of a stream."""
    has_info = message.HasField("prompt_info")
    return Chunk(
        text=message.text,
        token_ids=tuple(message.token_ids),
        request_id=message.prompt_info.request_id,
        prompt_tokens=message.prompt_info.num_prompt_tokens if has_info else None,
        finish=_finish(message.finish_info) if message.HasField("finish_info") else None,
    )


def answer_of(message: pb.GenerateResponse) -> Answer:
    """Reads a whole answer."""
    return Answer(
        text=message.text,
        token_ids=tuple(message.token_ids),
        request_id=message.prompt_info.request_id,
        model=message.prompt_info.model,
        prompt_tokens=message.prompt_info.num_prompt_tokens,
        finish=_finish(message.finish_info),
    )


def model_info_of(message: pb.GetModelInfoResponse) -> ModelInfo:
    """Reads what a server says about its model."""
    return ModelInfo(
        model=message.model,
        artifact_digest=message.artifact_digest,
        family=message.family,
        precision=message.precision,
        max_context_length=message.max_context_length,
        vocab_size=message.vocab_size,
        eos_token_ids=tuple(message.eos_token_ids),
        has_chat_template=message.has_chat_template,
        max_concurrent_sequences=message.max_concurrent_sequences,
        max_queue=message.max_queue,
        runtime_version=message.runtime_version,
    )


def _finish(info: pb.FinishInfo) -> Finish:
    matched = info.WhichOneof("matched")
    return Finish(
        reason=_REASONS.get(info.reason, FinishReason.UNKNOWN),
        output_tokens=info.num_output_tokens,
        stop_token_id=info.stop_token_id if matched == "stop_token_id" else None,
        stop_string=info.stop_string if matched == "stop_string" else None,
    )
