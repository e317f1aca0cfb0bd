"""The asynchronous client.

    async with connect("demo", namespace="team") as client:
        async for chunk in client.stream_chat("What is the capital of Norway?"):
            print(chunk.text, end="")

A call that meets a pod on its way out is tried again on another one, as long as nothing of the
answer has arrived.
"""

# ruff: noqa: ASYNC109 - a timeout is a gRPC deadline: it travels to the server

import os
from collections.abc import AsyncGenerator, Iterable
from time import monotonic
from types import TracebackType
from typing import Any, Self, cast

import grpc
import grpc.aio

from llm_client.address import address_of, places_of
from llm_client.bootstrap import settle
from llm_client.lines import Direct, Line, Lines, ModelLines, opener
from llm_client.prefix import HEADER, hash_key, prefix_key
from llm_client.request import (
    DEFAULT,
    Conversation,
    Options,
    Prompt,
    chat_request,
    prompt_request,
)
from llm_client.results import Answer, Chunk, ModelInfo, answer_of, chunk_of, model_info_of
from llm_client.transport import deadline, left
from llm_client.tries import Failure, Tries
from llm_client.v1 import inference_pb2 as pb
from llm_client.ways import PACE, Way

DEFAULT_TIMEOUT_SECONDS = 300.0

Metadata = tuple[tuple[str, str], ...]


def connect(
    target: str,
    *,
    namespace: str | None = None,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    credentials: grpc.ChannelCredentials | None = None,
) -> "Client":
    """Makes a client; connecting happens with the first call, and again whenever it has to.

    The name of an LLMDeployment is for programs inside its cluster: the operator's control plane
    tells gRPC (by xDS) where its pods are and how busy. Where that does not answer within two
    seconds, pods are found by DNS and called in turn, until it does.

    Args:
        target: the name of an LLMDeployment, or HOST:PORT or any other name gRPC resolves; those
            have a ':', '/' or '.' in them.
        namespace: of the LLMDeployment; the pod's own if it is not given.
        port: `spec.service.port` of the LLMDeployment if it has one, for the way by DNS.
        timeout: seconds that a call may take unless it says otherwise, connecting included.
        credentials: for TLS; none speaks plain text.

    Raises:
        ValueError: an argument that cannot be, or an xDS bootstrap in the environment that cannot.
    """
    model, open_ = address_of(target, namespace, port), opener(credentials)
    if model is None:
        return Client(Direct(open_(target, Way.DIRECT), target), timeout)
    return Client(ModelLines(str(model), places_of(model, settle(os.environ)), open_), timeout)


class Client:
    """Calls to one place. Use it as an async context manager, or `close` it."""

    def __init__(self, lines: Lines, timeout: float) -> None:
        self._lines = lines
        self._timeout = timeout
        self._key = hash_key(os.environ)

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
        await self._lines.close()

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
        return model_info_of(await self._call("GetModelInfo", pb.GetModelInfoRequest(), timeout))

    async def _unary(self, request: pb.GenerateRequest, timeout: float | None) -> Answer:
        return answer_of(await self._call("Generate", request, timeout, self._metadata(request)))

    async def _call(
        self, method: str, request: Any, timeout: float | None, metadata: Metadata = ()
    ) -> Any:
        tries = self._tries(timeout)
        while True:
            async with self._lines.line(tries.ends) as line:
                call = getattr(line.stub, method)
                try:
                    return await call(
                        request,
                        timeout=left(tries.ends),
                        wait_for_ready=line.waits,
                        metadata=metadata,
                    )
                except grpc.aio.AioRpcError as error:
                    await self._bear(error, tries, line)

    async def _stream(
        self, request: pb.GenerateRequest, timeout: float | None
    ) -> AsyncGenerator[Chunk, None]:
        tries = self._tries(timeout)
        metadata = self._metadata(request)
        has_begun = False
        while True:
            async with self._lines.line(tries.ends) as line:
                call = line.stub.GenerateStream(
                    request,
                    timeout=left(tries.ends),
                    wait_for_ready=line.waits,
                    metadata=metadata,
                )
                try:
                    async for message in call:
                        has_begun = True
                        yield chunk_of(message)
                    return
                except grpc.aio.AioRpcError as error:
                    await self._bear(error, tries, line, has_begun=has_begun)
                finally:
                    call.cancel()

    def _tries(self, timeout: float | None) -> Tries:
        return Tries(self._lines.name, deadline(timeout or self._timeout))

    def _metadata(self, request: pb.GenerateRequest) -> Metadata:
        return ((HEADER, prefix_key(request, self._key)),)

    async def _bear(
        self, error: grpc.aio.AioRpcError, tries: Tries, line: Line, *, has_begun: bool = False
    ) -> None:
        """Returns when it is time for another try; else raises the caller's error."""
        trailing = cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ())
        code, details = error.code().name, error.details() or ""
        failure = Failure(code, details, trailing, is_down=line.is_down, has_begun=has_begun)
        verdict = tries.verdict(failure, monotonic(), waits=line.waits)
        if verdict is not None:
            raise verdict from None
        await line.changes(min(PACE.down, left(tries.ends)))
