"""A serving pod that does what it is told: a gRPC server on loopback, for who talks to pods."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from support.free_port import free_port

Trailers = tuple[tuple[str, str | bytes], ...]
HEAD = (("x-head", "h"),)
TAIL = (("x-tail", "t"), ("x-tail-bin", b"\x00\xff"))
OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 8 << 20)]


if TYPE_CHECKING:
    GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:
    GenericHandler = grpc.GenericRpcHandler


@dataclass(frozen=True, slots=True)
class _Any(GenericHandler):
    handler: Any

    def service(self, _handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self.handler


@dataclass(frozen=True, slots=True)
class Failure:
    """How calls end; `times` of them."""

    code: grpc.StatusCode
    details: str = ""
    trailers: Trailers = ()
    times: int = 10**9


@dataclass(slots=True)
class ScriptedPod(inference_pb2_grpc.InferenceServicer):
    """Answers with the prompt. Notes what came, and what became of it."""

    port: int
    prompts: list[str] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    remaining: list[float | None] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Streams stop after their first message until it is set; it is at first."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a call was cancelled."""
    server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def Generate(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        await self._begin(request, context)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return pb.GenerateResponse(text=request.text)

    async def GenerateStream(  # noqa: N802  # gRPC's name
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        await self._begin(request, context)
        try:
            for number in range(request.stopping.max_new_tokens or 3):
                yield pb.GenerateResponse(text=f"{request.text}-{number}")
                await self.gate.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def GetModelInfo(  # noqa: N802  # gRPC's name
        self, _request: Any, _context: Any
    ) -> Any:
        return pb.GetModelInfoResponse(model="scripted")

    async def start(self) -> None:
        """Listens; again after `stop`."""
        server = grpc.aio.server(options=OPTIONS)
        inference_pb2_grpc.add_InferenceServicer_to_server(self, server)
        await self._listen(server)

    async def start_generic(self, handler: Any) -> None:
        """Listens with this handler for every method."""
        await self._listen(grpc.aio.server(handlers=[_Any(handler)], options=OPTIONS))

    async def _listen(self, server: grpc.aio.Server) -> None:
        self.server = server
        server.add_insecure_port(self.address)
        await server.start()

    async def stop(self, grace: float | None = None) -> None:
        if self.server is not None:
            await self.server.stop(grace)

    async def _begin(self, request: Any, context: Any) -> None:
        self.prompts.append(request.text)
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining.append(context.time_remaining())
        if self.failures and self.failures[0].times > 0:
            failure = self.failures.pop(0)
            if failure.times > 1:
                again = Failure(failure.code, failure.details, failure.trailers, failure.times - 1)
                self.failures.insert(0, again)
            await context.abort(failure.code, failure.details, failure.trailers)
        context.set_trailing_metadata(TAIL)
        await context.send_initial_metadata(HEAD)


@asynccontextmanager
async def running_pod() -> AsyncIterator[ScriptedPod]:
    """A pod that listens, with its gate open."""
    pod = ScriptedPod(free_port())
    pod.gate.set()
    await pod.start()
    try:
        yield pod
    finally:
        pod.gate.set()
        await pod.stop()
