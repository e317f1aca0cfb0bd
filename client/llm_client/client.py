"""The asynchronous client.

    async with connect("demo.team.svc:50051") as client:
        async for chunk in client.stream_chat("What is the capital of Norway?"):
            print(chunk.text, end="")

A call that meets a pod on its way out is tried again on another one, as long as nothing of the
answer has arrived.
"""

# ruff: noqa: ASYNC109 - a timeout is a gRPC deadline: it travels to the server

from collections.abc import AsyncGenerator, Iterable
from types import TracebackType
from typing import Self, cast

import grpc
import grpc.aio

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

DEFAULT_TIMEOUT_SECONDS = 300.0


def connect(
    target: str,
    *,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    credentials: grpc.ChannelCredentials | None = None,
) -> "Client":
    """Makes a client; connecting happens with the first call, and again whenever it has to.

    Args:
        target: HOST:PORT or any name gRPC resolves.
        timeout: seconds that a call may take unless it says otherwise, connecting included.
        credentials: for TLS; none speaks plain text.
    """
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)
    else:
        channel = grpc.aio.secure_channel(target, credentials, CHANNEL_OPTIONS)
    return Client(channel, target, timeout)


class Client:
    """Calls over one channel. Use it as an async context manager, or `close` it."""

    def __init__(self, channel: grpc.aio.Channel, target: str, timeout: float) -> None:
        self._channel = channel
        self._target = target
        self._timeout = timeout
        self._stub = inference_pb2_grpc.InferenceStub(channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all calls and the connection."""
        await self._channel.close(None)

    async def generate(
        self, prompt: Prompt, options: Options = DEFAULT, *, timeout: float | None = None
    ) -> Answer:
        """Continues a text or token ids. Raises LLMError."""
        return await self._unary(prompt_request(prompt, options), timeout)

    async def chat(
        self,
        conversation: Conversation,
        options: Options = DEFAULT,
        *,
        timeout: float | None = None,
    ) -> Answer:
        """Answers a conversation, or one question. Raises LLMError."""
        return await self._unary(chat_request(conversation, options), timeout)

    def stream(
        self, prompt: Prompt, options: Options = DEFAULT, *, timeout: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Like `generate`, as the answer grows. Ending the iteration early cancels the call."""
        return self._stream(prompt_request(prompt, options), timeout)

    def stream_chat(
        self,
        conversation: Conversation,
        options: Options = DEFAULT,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Like `chat`, as the answer grows. Ending the iteration early cancels the call."""
        return self._stream(chat_request(conversation, options), timeout)

    async def model_info(self, *, timeout: float | None = None) -> ModelInfo:
        """Asks which model this is. Raises LLMError."""
        seconds, ends = deadline(timeout or self._timeout)
        try:
            message = await self._stub.GetModelInfo(
                pb.GetModelInfoRequest(), timeout=seconds, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            raise self._error(error, ends) from None
        return model_info_of(message)

    async def _unary(self, request: pb.GenerateRequest, timeout: float | None) -> Answer:
        seconds, ends = deadline(timeout or self._timeout)
        try:
            message = await self._stub.Generate(request, timeout=seconds, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise self._error(error, ends) from None
        return answer_of(message)

    async def _stream(
        self, request: pb.GenerateRequest, timeout: float | None
    ) -> AsyncGenerator[Chunk, None]:
        seconds, ends = deadline(timeout or self._timeout)
        call = self._stub.GenerateStream(request, timeout=seconds, wait_for_ready=True)
        has_begun = False
        try:
            async for message in call:
                has_begun = True
                yield chunk_of(message)
        except grpc.aio.AioRpcError as error:
            raise self._error(error, ends, has_begun=has_begun) from None
        finally:
            call.cancel()

    def _error(
        self, error: grpc.aio.AioRpcError, ends: float, *, has_begun: bool = False
    ) -> LLMError:
        """The error to raise; a deadline while still connecting is an address nobody answers at."""
        code = error.code()
        if (
            code is grpc.StatusCode.DEADLINE_EXCEEDED
            and not has_begun
            and self._channel.get_state() in CONNECTING
        ):
            return unreachable(self._target)
        trailing = cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ())
        return error_of(code.name, error.details(), trailing, is_over=is_past(ends))
