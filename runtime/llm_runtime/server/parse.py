"""Turns a GenerateRequest into what the engine and the text side need, or refuses it.

Every field and every limit is here.

Messages name the field by its path, the limit, and what to do; they never repeat the prompt.
"""

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from llm_client.v1 import inference_pb2 as pb
from llm_runtime.engine.request import Request, Sampling, Stopping
from llm_runtime.server.model import ServedModel
from llm_runtime.server.refusal import RefusedError, invalid
from llm_runtime.tokenizer.chat import ChatError, Message

ROLES = ("system", "user", "assistant")
_LONGEST_REQUEST_ID = 128
_MOST_STOP_STRINGS = 16
_LONGEST_STOP_STRING = 128
_MOST_STOP_TOKENS = 64
_MOST_MESSAGES = 1024
_HOTTEST = 2.0
# Fields that this server does not know; beyond this nobody looks which ones they are.
_MOST_UNKNOWN_BYTES = 4096
# Rendered or given text beyond this cannot fit any context and is refused before it is tokenised.
_CHARACTERS_PER_TOKEN = 128


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How the answer's text is made."""

    stop_strings: tuple[str, ...]
    include_stop_string: bool
    min_new_tokens: int
    keep_special: bool
    token_ids: bool


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt before it is tokenised, a text or tokens; a chat brings its own special tokens."""

    text: str = ""
    tokens: Sequence[int] = ()
    add_special: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """A request that was understood."""

    request: Request
    text: TextOptions


def check_counts(message: pb.GenerateRequest, model: ServedModel) -> None:
    """Refuses more parts than any request may have, before anything goes through them.

    A message of 1 MB can hold half a million parts. Raises RefusedError.
    """
    if len(message.chat.messages) > _MOST_MESSAGES:
        raise _message_count(message.chat)
    if message.token_ids.ids:
        _room(len(message.token_ids.ids), model)
    _check_stop_counts(message.stopping)


def check_known(message: pb.GenerateRequest) -> None:
    """Refuses fields that this server does not know: a caller may rely on them."""
    known = pb.GenerateRequest()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    size = message.ByteSize() - known.ByteSize()
    if size > _MOST_UNKNOWN_BYTES:
        raise invalid(
            message.DESCRIPTOR.name,
            f"has {size} bytes in fields that are not known to this server; leave them out or use a"
            " newer runtime",
        )
    if size:
        _name_unknown(message)


def _name_unknown(message: ProtoMessage, path: str = "") -> None:
    unknown_fields = UnknownFieldSet(message)
    for index in range(len(unknown_fields)):
        unknown = unknown_fields[index]
        where = path or message.DESCRIPTOR.name
        raise invalid(
            f"{where}: field {unknown.field_number}",
            "is not known to this server; leave it out or use a newer runtime",
        )
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        where = f"{path}.{field.name}".lstrip(".")
        for index, part in enumerate(value if field.is_repeated else [value]):
            _name_unknown(part, f"{where}[{index}]" if field.is_repeated else where)


def parse_prompt(message: pb.GenerateRequest, model: ServedModel) -> Prompt:
    """Checks identity and prompt, and renders a chat. Raises RefusedError."""
    _check_identity(message, model)
    match message.WhichOneof("prompt"):
        case "text":
            prompt = Prompt(text=message.text, add_special=True)
        case "token_ids":
            return Prompt(tokens=_token_ids(message.token_ids.ids, model))
        case "chat":
            prompt = Prompt(text=_render(message.chat, model))
        case _:
            raise invalid("prompt", "is missing; set one of text, token_ids and chat")
    longest = model.context * _CHARACTERS_PER_TOKEN
    if len(prompt.text) > longest:
        raise invalid(
            "prompt",
            f"has {len(prompt.text)} characters, at most {longest} can fit the context of"
            f" {model.context} tokens; shorten it",
        )
    return prompt


def parse_request(
    message: pb.GenerateRequest, tokens: Sequence[int], model: ServedModel, request_id: str
) -> Intake:
    """Checks everything but the prompt's text. Raises RefusedError.

    Args:
        message: what the caller sent.
        tokens: the prompt.
        model: whose limits hold.
        request_id: unique in this process.
    """
    stopping = _stopping(message.stopping, len(tokens), model)
    request = Request(request_id, tokens, stopping, _sampling(message.sampling, model))
    text = TextOptions(
        stop_strings=_stop_strings(message.stopping),
        include_stop_string=message.stopping.include_stop_string,
        min_new_tokens=stopping.min_new_tokens,
        keep_special=message.response.include_special_tokens,
        token_ids=message.response.token_ids,
    )
    return Intake(request, text)


def _check_identity(message: pb.GenerateRequest, model: ServedModel) -> None:
    if len(message.request_id) > _LONGEST_REQUEST_ID or not message.request_id.isprintable():
        raise invalid(
            "request_id", f"must be at most {_LONGEST_REQUEST_ID} printable characters long"
        )
    if message.model and message.model != model.identity.name:
        raise RefusedError(
            grpc.StatusCode.NOT_FOUND,
            f"model is not served here; leave it empty or ask for {model.identity.name!r}",
        )


def _token_ids(ids: Sequence[int], model: ServedModel) -> Sequence[int]:
    for index, token in enumerate(ids):
        if token >= model.vocabulary:
            raise invalid(
                f"token_ids.ids[{index}]",
                f"is {token}, the vocabulary has ids below {model.vocabulary}",
            )
    return tuple(ids)


def _render(chat: pb.Chat, model: ServedModel) -> str:
    if model.template is None:
        raise invalid("chat", "is not possible: the model has no chat template; use text")
    if not chat.messages:
        raise _message_count(chat)
    for index, message in enumerate(chat.messages):
        if message.role not in ROLES:
            raise invalid(
                f"chat.messages[{index}].role", f"is unknown; use one of {', '.join(ROLES)}"
            )
    messages = [Message(message.role, message.content) for message in chat.messages]
    try:
        return model.template.render(messages, model.context * _CHARACTERS_PER_TOKEN)
    except ChatError as error:
        raise invalid("chat", f"cannot be rendered: {error}") from error


def _message_count(chat: pb.Chat) -> RefusedError:
    return invalid(
        "chat.messages", f"has {len(chat.messages)} messages; 1 to {_MOST_MESSAGES} are allowed"
    )


def _sampling(message: pb.Sampling, model: ServedModel) -> Sampling:
    default = model.defaults
    temperature = message.temperature if message.HasField("temperature") else default.temperature
    top_p = message.top_p if message.HasField("top_p") else default.top_p
    top_k = message.top_k if message.HasField("top_k") else min(default.top_k, model.vocabulary)
    if not (math.isfinite(temperature) and 0 <= temperature <= _HOTTEST):
        raise invalid(
            "sampling.temperature",
            f"is {temperature:g}, it must be a number from 0 (greedy) to {_HOTTEST:g}",
        )
    if not (math.isfinite(top_p) and 0 < top_p <= 1):
        raise invalid("sampling.top_p", f"is {top_p:g}, it must be above 0 and at most 1 (all)")
    if top_k > model.vocabulary:
        raise invalid(
            "sampling.top_k",
            f"is {top_k}, the vocabulary has {model.vocabulary} tokens; use 0 to keep all",
        )
    seed = message.seed if message.HasField("seed") else secrets.randbits(64)
    return Sampling(temperature, top_k, top_p, seed)


def _stopping(message: pb.Stopping, prompt: int, model: ServedModel) -> Stopping:
    if prompt == 0:
        raise invalid("prompt", "has no tokens; give at least one")
    room = _room(prompt, model)
    limit = message.max_new_tokens if message.HasField("max_new_tokens") else room
    if not 1 <= limit <= room:
        raise invalid(
            "stopping.max_new_tokens",
            f"is {limit}, it must be from 1 to {room}: the context holds {model.context} tokens,"
            f" {prompt} of them are the prompt's",
        )
    if message.min_new_tokens > limit:
        raise invalid(
            "stopping.min_new_tokens",
            f"is {message.min_new_tokens}, it must be at most max_new_tokens, which is {limit}",
        )
    return Stopping(limit, message.min_new_tokens, _stop_ids(message, model))


def _room(prompt: int, model: ServedModel) -> int:
    """Tokens that are left for the answer."""
    room = model.context - prompt
    if room < 1:
        raise invalid(
            "prompt",
            f"has {prompt} tokens, the context holds {model.context} with at least one for the"
            " answer; shorten it",
        )
    return room


def _check_stop_counts(message: pb.Stopping) -> None:
    if len(message.stop_token_ids) > _MOST_STOP_TOKENS:
        raise invalid(
            "stopping.stop_token_ids",
            f"has {len(message.stop_token_ids)} ids, at most {_MOST_STOP_TOKENS} are allowed",
        )
    if len(message.stop_strings) > _MOST_STOP_STRINGS:
        raise invalid(
            "stopping.stop_strings",
            f"has {len(message.stop_strings)} texts, at most {_MOST_STOP_STRINGS} are allowed",
        )


def _stop_ids(message: pb.Stopping, model: ServedModel) -> frozenset[int]:
    for index, token in enumerate(message.stop_token_ids):
        if token >= model.vocabulary:
            raise invalid(
                f"stopping.stop_token_ids[{index}]",
                f"is {token}, the vocabulary has ids below {model.vocabulary}",
            )
    own = frozenset[int]() if message.ignore_eos else model.eos_ids
    return own | frozenset(message.stop_token_ids)


def _stop_strings(message: pb.Stopping) -> tuple[str, ...]:
    for index, stop in enumerate(message.stop_strings):
        if not 1 <= len(stop) <= _LONGEST_STOP_STRING:
            raise invalid(
                f"stopping.stop_strings[{index}]",
                f"has {len(stop)} characters, 1 to {_LONGEST_STOP_STRING} are allowed",
            )
    if message.include_stop_string and not message.stop_strings:
        raise invalid("stopping.include_stop_string", "needs stop_strings; leave it out or add one")
    return tuple(message.stop_strings)
