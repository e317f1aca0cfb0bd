"""llm.v1.Inference: parse, admit, submit, stream. Everything that decides lies elsewhere."""

# ruff: noqa: N802, ARG002 - gRPC names the methods and their arguments

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import grpc

from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from llm_runtime.engine.channel import Channel
from llm_runtime.engine.loop import Engine
from llm_runtime.engine.request import End, Ending
from llm_runtime.server.admission import Bounds, Rejection, admit, check_room
from llm_runtime.server.answer import Answer, Finish, Piece
from llm_runtime.server.interceptors import call_id
from llm_runtime.server.model import ServedModel
from llm_runtime.server.parse import (
    Intake,
    Prompt,
    check_counts,
    check_known,
    parse_prompt,
    parse_request,
)
from llm_runtime.server.refusal import RefusedError
from llm_runtime.server.rpc import Context
from llm_runtime.telemetry.metrics import Metrics
from llm_runtime.tokenizer.stream import open_stream

# Longer texts are tokenised in a thread, so that they hold up no other call.
_LONG_TEXT = 4096
_REASONS = {
    Ending.STOP: pb.FINISH_REASON_STOP,
    Ending.LENGTH: pb.FINISH_REASON_LENGTH,
    Ending.DRAINED: pb.FINISH_REASON_ABORTED,
}
_LABELS = {Ending.STOP: "stop", Ending.LENGTH: "length", Ending.DRAINED: "aborted"}
_CODES = {
    Ending.SLOW_CLIENT: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Ending.ENGINE_DEAD: grpc.StatusCode.UNAVAILABLE,
    Ending.FAILED: grpc.StatusCode.INTERNAL,
}


class SlowReaderError(RefusedError):
    """A message lay too long before its reader."""


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What the service works with.

    Attributes:
        slow_client_seconds: how long one message may wait for its reader.
        longest_seconds: the server's own deadline of a call.
    """

    engine: Engine
    model: ServedModel
    bounds: Bounds
    metrics: Metrics
    slow_client_seconds: float
    longest_seconds: float


class InferenceService(inference_pb2_grpc.InferenceServicer):
    """The data port's own service."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:
        """Collects the whole answer."""
        whole = pb.GenerateResponse()
        text: list[str] = []
        async with self._answer(request, context) as responses:
            async for response in responses:
                text.append(response.text)
                whole.MergeFrom(response)
        whole.text = "".join(text)
        return whole

    async def GenerateStream(  # type: ignore[override]  # writes to the context, see interceptors
        self, request: pb.GenerateRequest, context: Context
    ) -> None:
        """Writes the answer as it grows."""
        async with self._answer(request, context) as responses:
            async for response in responses:
                await self._write(response, context)

    async def GetModelInfo(
        self, request: pb.GetModelInfoRequest, context: Context
    ) -> pb.GetModelInfoResponse:
        """Says what is served and within which limits."""
        model, bounds = self._parts.model, self._parts.bounds
        return pb.GetModelInfoResponse(
            model=model.identity.name,
            artifact_digest=model.identity.digest,
            family=model.identity.family,
            precision=model.identity.precision,
            max_context_length=model.context,
            vocab_size=model.vocabulary,
            eos_token_ids=sorted(model.eos_ids),
            has_chat_template=model.template is not None,
            max_concurrent_sequences=bounds.slots,
            max_queue=bounds.max_queue,
            runtime_version=version("llm-runtime"),
        )

    @asynccontextmanager
    async def _answer(
        self, message: pb.GenerateRequest, context: Context
    ) -> AsyncIterator[AsyncIterator[pb.GenerateResponse]]:
        """The messages of one answer. Whatever ends it early gives the slot back in one place."""
        started = time.monotonic()
        intake = await self._parse(message)
        self._admit(intake)
        info = pb.PromptInfo(
            request_id=message.request_id or call_id.get(),
            model=self._parts.model.identity.name,
            num_prompt_tokens=len(intake.request.prompt),
        )
        run = _Run(self._parts, intake)
        early = Ending.CANCELLED
        try:
            async with aclosing(run.responses(info)) as responses:
                yield responses
        except SlowReaderError:
            early = Ending.SLOW_CLIENT
            raise
        finally:
            is_late = _is_late(context, started + self._parts.longest_seconds)
            run.close(Ending.DEADLINE if is_late else early)
        self._parts.metrics.answered(_LABELS[run.finish.why], time.monotonic() - started)

    async def _parse(self, message: pb.GenerateRequest) -> Intake:
        """Cheapest first: this runs on the loop that answers the probes, for whatever is sent."""
        check_counts(message, self._parts.model)
        check_known(message)
        self._check_room()
        prompt = parse_prompt(message, self._parts.model)
        tokens = prompt.tokens or await self._tokenise(prompt)
        return parse_request(message, tokens, self._parts.model, call_id.get())

    async def _tokenise(self, prompt: Prompt) -> list[int]:
        codec = self._parts.model.codec
        if len(prompt.text) < _LONG_TEXT:
            return codec.encode(prompt.text, add_special=prompt.add_special)
        return await asyncio.to_thread(codec.encode, prompt.text, add_special=prompt.add_special)

    def _check_room(self) -> None:
        """Refuses at once while the queue is full: no work on a prompt that cannot wait."""
        self._obey(check_room(self._parts.engine.load, self._parts.bounds))

    def _admit(self, intake: Intake) -> None:
        prompt = len(intake.request.prompt)
        self._obey(admit(self._parts.engine.load, prompt, self._parts.bounds))

    def _obey(self, rejection: Rejection | None) -> None:
        if rejection is not None:
            self._parts.metrics.rejected(rejection.reason)
            raise RefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                rejection.message,
                retry_after_ms=rejection.retry_after_ms,
            )

    async def _write(self, response: pb.GenerateResponse, context: Context) -> None:
        limit = self._parts.slow_client_seconds
        try:
            async with asyncio.timeout(limit) as timer:
                await context.write(response)
        except TimeoutError:
            if not timer.expired():
                raise
            raise SlowReaderError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"A message was not read within {limit:g} s"
            ) from None


class _Run:
    """One request in the engine, from submission to the end."""

    def __init__(self, parts: ServiceParts, intake: Intake) -> None:
        self._parts = parts
        self._id = intake.request.id
        self._with_ids = intake.text.token_ids
        stream = open_stream(parts.model.codec, keep_special=intake.text.keep_special)
        self._answer = Answer(stream, intake.text)
        self._channel: Channel = parts.engine.submit(intake.request)
        self._engine_ended = False
        self._is_answered = False
        self.finish: Finish

    async def responses(self, info: pb.PromptInfo) -> AsyncGenerator[pb.GenerateResponse, None]:
        """Yields at least one message; the first carries `info`, the last one how it ended."""
        first: pb.PromptInfo | None = info
        while not self._is_answered:
            piece = await self._next_piece()
            response = self._response(piece, first)
            if response is not None:
                yield response
                first = None

    def close(self, early: Ending) -> None:
        """Ends the request in the engine unless it has ended there.

        Args:
            early: what is counted when the answer is not whole.
        """
        if self._engine_ended:
            return
        if not self._is_answered:
            self._parts.metrics.failed(early)
        self._parts.engine.abort(self._id, self.finish.why if self._is_answered else early)

    async def _next_piece(self) -> Piece:
        delivery = await self._channel.receive()
        end = delivery.end
        self._engine_ended = end is not None
        if end is not None and not end.why.is_answer:
            self._parts.metrics.failed(end.why)
            raise _failure(end)
        piece = self._answer.take(delivery)
        if piece.finish is not None:
            self.finish = piece.finish
            self._is_answered = True
        return piece

    def _response(self, piece: Piece, first: pb.PromptInfo | None) -> pb.GenerateResponse | None:
        """The message for a piece; None when there is nothing to say yet."""
        ids = piece.token_ids if self._with_ids else ()
        if not (piece.text or ids or piece.finish):
            return None
        finish = _finish_info(piece.finish) if piece.finish else None
        return pb.GenerateResponse(
            prompt_info=first, text=piece.text, token_ids=ids, finish_info=finish
        )


def _finish_info(finish: Finish) -> pb.FinishInfo:
    info = pb.FinishInfo(reason=_REASONS[finish.why], num_output_tokens=finish.output_tokens)
    if finish.stop_id is not None:
        info.stop_token_id = finish.stop_id
    elif finish.stop_string is not None:
        info.stop_string = finish.stop_string
    return info


def _failure(end: End) -> RefusedError:
    code = _CODES.get(end.why, grpc.StatusCode.CANCELLED)
    return RefusedError(code, end.detail or f"The request ended early: {end.why}")


def _is_late(context: Context, limit: float) -> bool:
    """True when the caller's deadline or the server's own, a time of the clock, has passed."""
    left = context.time_remaining()
    return (left is not None and left <= 0) or time.monotonic() >= limit
