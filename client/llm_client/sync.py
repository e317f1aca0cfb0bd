"""The same client for programs without an event loop.

with connect_sync("demo.team.svc:50051") as client:
    print(client.chat("What is the capital of Norway?").text)
"""

from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Self, cast

import grpc

from llm_client.client import DEFAULT_TIMEOUT_SECONDS
from llm_client.errors import LLMError, error_of, unreachable
from llm_client.request import (
    DEFAULT,
    Conversation,
    Options,
    Prompt,
    chat_request,
    prompt_request,
)
from llm_client.results import Answer, Chunk, ModelInfo, answer_of, chunk_of, model_info_of
from llm_client.transport import CHANNEL_OPTIONS, CONNECTING, deadline, is_past
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc


def connect_sync(
    target: str,
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    credentials: grpc.ChannelCredentials | None = None,
) -> "SyncClient":
    """Makes a client; connecting happens with the first call, and again whenever it has to.

    Args:
        target: HOST:PORT or any name gRPC resolves.
        timeout: seconds that a call may take unless it says otherwise, connecting included.
        credentials: for TLS; none speaks plain text.
    """
    if credentials is None:
        channel = grpc.insecure_channel(target, CHANNEL_OPTIONS)
    else:
        channel = grpc.secure_channel(target, credentials, CHANNEL_OPTIONS)
    return SyncClient(channel, target, timeout)


class SyncClient:
    """Calls over one channel, from any thread. Use it as a context manager, or `close` it."""

    def __init__(self, channel: grpc.Channel, target: str, timeout: float) -> None:
        self._channel = channel
        self._target = target
        self._timeout = timeout
        self._stub = inference_pb2_grpc.InferenceStub(channel)
        self._is_connecting = True
        channel.subscribe(self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls and the connection."""
        self._channel.close()

    def generate(
        self, prompt: Prompt, options: Options = DEFAULT, *, timeout: float | None = None
    ) -> Answer:
        """Continues a text or token ids. Raises LLMError."""
        return self._unary(prompt_request(prompt, options), timeout)

    def chat(
        self,
        conversation: Conversation,
        options: Options = DEFAULT,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Answers a conversation, or one question. Raises LLMError."""
        return self._unary(chat_request(conversation, options), timeout)

    def stream(
        self, prompt: Prompt, options: Options = DEFAULT, *, timeout: float | None = None
    ) -> Generator[Chunk, None, None]:
        """Like `generate`, as the answer grows. Ending the iteration early cancels the call."""
        return self._stream(prompt_request(prompt, options), timeout)

    def stream_chat(
        self,
        conversation: Conversation,
        options: Options = DEFAULT,
        *,
        timeout: float | None = None,
    ) -> Generator[Chunk, None, None]:
        """Like `chat`, as the answer grows. Ending the iteration early cancels the call."""
        return self._stream(chat_request(conversation, options), timeout)

    def model_info(self, *, timeout: float | None = None) -> ModelInfo:
        """Asks which model this is. Raises LLMError."""
        seconds, ends = deadline(timeout or self._timeout)
        try:
            message = self._stub.GetModelInfo(
                pb.GetModelInfoRequest(), timeout=seconds, wait_for_ready=True
            )
        except grpc.RpcError as error:
            raise self._error(error, ends) from None
        return model_info_of(message)

    def _unary(self, request: pb.GenerateRequest, timeout: float | None) -> Answer:
        seconds, ends = deadline(timeout or self._timeout)
        try:
            message = self._stub.Generate(request, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            raise self._error(error, ends) from None
        return answer_of(message)

    def _stream(
        self, request: pb.GenerateRequest, timeout: float | None
    ) -> Generator[Chunk, None, None]:
        seconds, ends = deadline(timeout or self._timeout)
        call = self._stub.GenerateStream(request, timeout=seconds, wait_for_ready=True)
        has_begun = False
        try:
            for message in call:
                has_begun = True
                yield chunk_of(message)
        except grpc.RpcError as error:
            raise self._error(error, ends, has_begun=has_begun) from None
        finally:
            call.cancel()  # type: ignore[no-untyped-call]

    def _note(self, state: grpc.ChannelConnectivity) -> None:
        self._is_connecting = state in CONNECTING

    def _error(self, error: grpc.RpcError, ends: float, *, has_begun: bool = False) -> LLMError:
        """The error to raise; a deadline while still connecting is an address nobody answers at."""
        call = cast(grpc.Call, error)
        is_late = call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if is_late and not has_begun and self._is_connecting:
            return unreachable(self._target)
        trailing = cast(Iterable[tuple[str, str | bytes]], call.trailing_metadata() or ())
        return error_of(call.code().name, call.details(), trailing, is_over=is_past(ends))
