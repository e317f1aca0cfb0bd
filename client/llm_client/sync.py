"""The same client for programs without an event loop.

with connect_sync("demo", namespace="team") as client:
    print(client.chat("What is the capital of Norway?").text)
"""

import os
from collections.abc import Generator, Iterable
from time import monotonic
from types import TracebackType
from typing import Any, Self, cast

import grpc

from llm_client.address import address_of, places_of
from llm_client.bootstrap import settle
from llm_client.client import DEFAULT_TIMEOUT_SECONDS, Metadata
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
from llm_client.sync_lines import SyncDirect, SyncLine, SyncLines, SyncModelLines, sync_opener
from llm_client.transport import deadline, left
from llm_client.tries import Failure, Tries
from llm_client.v1 import inference_pb2 as pb
from llm_client.ways import PACE, Way


def connect_sync(
    target: str,
    *,
    namespace: str | None = None,
    port: int | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    credentials: grpc.ChannelCredentials | None = None,
) -> "SyncClient":
    """Makes a client; arguments, ways and errors are those of `connect`."""
    model, open_ = address_of(target, namespace, port), sync_opener(credentials)
    if model is None:
        return SyncClient(SyncDirect(open_(target, Way.DIRECT), target), timeout)
    places = places_of(model, settle(os.environ))
    return SyncClient(SyncModelLines(str(model), places, open_), timeout)


class SyncClient:
    """Calls to one place, from any thread. Use it as a context manager, or `close` it."""

    def __init__(self, lines: SyncLines, timeout: float) -> None:
        self._lines = lines
        self._timeout = timeout
        self._key = hash_key(os.environ)

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
        self._lines.close()

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
        return model_info_of(self._call("GetModelInfo", pb.GetModelInfoRequest(), timeout))

    def _unary(self, request: pb.GenerateRequest, timeout: float | None) -> Answer:
        return answer_of(self._call("Generate", request, timeout, self._metadata(request)))

    def _call(
        self, method: str, request: Any, timeout: float | None, metadata: Metadata = ()
    ) -> Any:
        tries = self._tries(timeout)
        while True:
            with self._lines.line(tries.ends) as line:
                call = getattr(line.stub, method)
                try:
                    return call(
                        request,
                        timeout=left(tries.ends),
                        wait_for_ready=line.waits,
                        metadata=metadata,
                    )
                except grpc.RpcError as error:
                    self._bear(error, tries, line)

    def _stream(
        self, request: pb.GenerateRequest, timeout: float | None
    ) -> Generator[Chunk, None, None]:
        tries = self._tries(timeout)
        metadata = self._metadata(request)
        has_begun = False
        while True:
            with self._lines.line(tries.ends) as line:
                call = line.stub.GenerateStream(
                    request,
                    timeout=left(tries.ends),
                    wait_for_ready=line.waits,
                    metadata=metadata,
                )
                try:
                    for message in call:
                        has_begun = True
                        yield chunk_of(message)
                    return
                except grpc.RpcError as error:
                    self._bear(error, tries, line, has_begun=has_begun)
                finally:
                    call.cancel()  # type: ignore[no-untyped-call]

    def _tries(self, timeout: float | None) -> Tries:
        return Tries(self._lines.name, deadline(timeout or self._timeout))

    def _metadata(self, request: pb.GenerateRequest) -> Metadata:
        return ((HEADER, prefix_key(request, self._key)),)

    def _bear(
        self, error: grpc.RpcError, tries: Tries, line: SyncLine, *, has_begun: bool = False
    ) -> None:
        """Returns when it is time for another try; else raises the caller's error."""
        call = cast(grpc.Call, error)
        trailing = cast(Iterable[tuple[str, str | bytes]], call.trailing_metadata() or ())
        code, details = call.code().name, call.details() or ""
        failure = Failure(code, details, trailing, is_down=line.is_down(), has_begun=has_begun)
        verdict = tries.verdict(failure, monotonic(), waits=line.waits)
        if verdict is not None:
            raise verdict from None
        line.changes(min(PACE.down, left(tries.ends)))
