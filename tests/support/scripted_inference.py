"""A server of the contract that misbehaves as a test says, and notes how it was called."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc

Behaviour = Callable[[pb.GenerateRequest, Any], Awaitable[None]]


class Scripted(inference_pb2_grpc.InferenceServicer):
    """Follows one behaviour for every call.

    peers: how often each connection called. most: calls that ran at the same time at most.
    cancelled: calls that the client gave up.
    """

    Generate = GetModelInfo = None  # type: ignore[assignment]  # never called here

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._running = 0
        self.peers = Counter[str]()
        self.requests: list[pb.GenerateRequest] = []
        self.most = 0
        self.cancelled = 0

    async def GenerateStream(  # type: ignore[override]  # noqa: N802
        self, request: pb.GenerateRequest, context: Any
    ) -> None:
        self.requests.append(request)
        self.peers[context.peer()] += 1
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            await self._behaviour(request, context)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._running -= 1


@asynccontextmanager
async def serving(servicer: Scripted) -> AsyncIterator[str]:
    """The server's address, while it serves."""
    server = grpc.aio.server()
    inference_pb2_grpc.add_InferenceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def message(count: int, total: int = 0, reason: Any = pb.FINISH_REASON_LENGTH) -> Any:
    """`count` tokens; the last message where there is a total."""
    finish = pb.FinishInfo(reason=reason, num_output_tokens=total) if total else None
    return pb.GenerateResponse(token_ids=[7] * count, finish_info=finish)


async def answers(request: pb.GenerateRequest, context: Any) -> None:
    """All tokens that were asked for, in two messages."""
    total = request.stopping.max_new_tokens
    await context.write(message(1))
    await context.write(message(total - 1, total))


def after(seconds: float) -> Behaviour:
    """Answers after a while."""

    async def behaviour(request: pb.GenerateRequest, context: Any) -> None:
        await asyncio.sleep(seconds)
        await answers(request, context)

    return behaviour
