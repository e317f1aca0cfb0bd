"""What calls take, and the messages made from it.

Values are checked by the server, which knows the limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_client.v1 import inference_pb2 as pb


@dataclass(frozen=True, slots=True)
class Options:
    """How an answer is made. What is None is left to the model's author and the server.

    Attributes:
        model: served name; empty takes the only one there is.
        temperature: 0 is greedy, at most 2.
        top_p: keeps the most likely tokens that make up this share.
        top_k: keeps so many of the most likely tokens; 0 keeps all.
        seed: the same seed and request give the same answer.
        max_new_tokens: None takes what the context still holds.
        min_new_tokens: the answer does not end by itself before.
        stop_token_ids: end the answer besides the model's own.
        stop_strings: texts that end the answer.
        include_stop_string: leaves the matched one in the text.
        ignore_eos: goes on after the model's own end.
        token_ids: adds the generated ids to what comes back.
        include_special_tokens: leaves special tokens in the text.
        request_id: returned in prompt_info; chosen by the server when empty.
    """

    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    max_new_tokens: int | None = None
    min_new_tokens: int = 0
    stop_token_ids: tuple[int, ...] = ()
    stop_strings: tuple[str, ...] = ()
    include_stop_string: bool = False
    ignore_eos: bool = False
    token_ids: bool = True
    include_special_tokens: bool = False
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; the role is "system", "user" or "assistant"."""

    role: str
    content: str


Prompt = str | Sequence[int]
Conversation = str | Sequence[Message]
DEFAULT = Options()


def prompt_request(prompt: Prompt, options: Options) -> pb.GenerateRequest:
    """A request with a text or token ids, taken as they are."""
    request = _request(options)
    if isinstance(prompt, str):
        request.text = prompt
    else:
        request.token_ids.CopyFrom(pb.TokenIds(ids=prompt))
    return request


def chat_request(conversation: Conversation, options: Options) -> pb.GenerateRequest:
    """A request for the model's chat template; a text is what the user says."""
    turns = [Message("user", conversation)] if isinstance(conversation, str) else conversation
    request = _request(options)
    messages = [pb.ChatMessage(role=turn.role, content=turn.content) for turn in turns]
    request.chat.CopyFrom(pb.Chat(messages=messages))
    return request


def _request(options: Options) -> pb.GenerateRequest:
    return pb.GenerateRequest(
        request_id=options.request_id,
        model=options.model,
        sampling=pb.Sampling(
            temperature=options.temperature,
            top_p=options.top_p,
            top_k=options.top_k,
            seed=options.seed,
        ),
        stopping=pb.Stopping(
            max_new_tokens=options.max_new_tokens,
            min_new_tokens=options.min_new_tokens,
            stop_token_ids=options.stop_token_ids,
            stop_strings=options.stop_strings,
            include_stop_string=options.include_stop_string,
            ignore_eos=options.ignore_eos,
        ),
        response=pb.ResponseOptions(
            token_ids=options.token_ids, include_special_tokens=options.include_special_tokens
        ),
    )
