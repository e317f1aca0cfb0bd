"""The processes of `bench.activator`: `python -m bench.activator_parts pod|bare|activator [PORT]`.

Each prints the port it listens on and ends when its standard input does, so that none outlives the
benchmark, however that ends. PORT is the pod's; the two proxies pass calls on to it.
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from llm_operator.activator.board import Board
from llm_operator.activator.metrics import Metrics
from llm_operator.activator.pods import channel_options
from llm_operator.activator.port import Connections
from llm_operator.activator.room import Memory
from llm_operator.activator.target import Target
from llm_operator.activator.watch_held import HeldNews
from llm_operator.kube.store import Key
from llm_operator.rpc import EOF, HealthServicer

if TYPE_CHECKING:
    GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:
    GenericHandler = grpc.GenericRpcHandler

UNARY, STREAM = "/bench.Pod/Unary", "/bench.Pod/Stream"
HOST = "127.0.0.1"
MESSAGE_BYTES = 64
"""About a token's worth of an answer."""
_KEY = Key("bench", "demo")
_AGE = 600.0
_PADDING = bytes(MESSAGE_BYTES - 8)


def stream_request(messages: int, pause: float) -> bytes:
    """Asks for a stream of so many messages with `pause` seconds between them."""
    return json.dumps([messages, pause]).encode()


def sent_at(message: bytes) -> float:
    """When the pod sent a message of a stream, in seconds of the machine's monotonic clock."""
    return float(struct.unpack_from("d", message)[0])


async def _unary(request: bytes, _context: Any) -> bytes:
    return request


async def _stream(request: bytes, _context: Any) -> AsyncIterator[bytes]:
    messages, pause = json.loads(request)
    for _ in range(messages):
        yield struct.pack("d", time.monotonic()) + _PADDING
        if pause:
            await asyncio.sleep(pause)


@dataclass(frozen=True, slots=True)
class _Handlers(GenericHandler):
    """Chooses a handler by the method's name."""

    choose: Callable[[str], Any]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self.choose(handler_call_details.method)


def _pods_handler(method: str) -> Any:
    if method == UNARY:
        return grpc.unary_unary_rpc_method_handler(_unary)
    return grpc.unary_stream_rpc_method_handler(_stream)


async def _listen(choose: Callable[[str], Any]) -> int:
    server = grpc.aio.server(handlers=[_Handlers(choose)], options=Connections(age=_AGE).options())
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    _kept.append(server)
    return port


_kept: list[Any] = []
"""What must not be collected while the process runs."""


async def pod() -> int:
    """Answers; returns its port."""
    return await _listen(_pods_handler)


async def bare(pod_port: int) -> int:
    """The least that a byte proxy on grpc.aio does: one call for each call, message by message."""
    channel = grpc.aio.insecure_channel(f"{HOST}:{pod_port}", options=channel_options(1 << 20))

    async def pass_through(method: str, context: Any) -> None:
        call: Any = channel.stream_stream(method)()  # type: ignore[call-arg]
        await call.write(await context.read())
        await call.done_writing()
        while (message := await call.read()) is not EOF:
            await context.write(message)

    def choose(method: str) -> Any:
        async def handle(_requests: Any, context: Any) -> None:
            await pass_through(method, context)

        return grpc.stream_stream_rpc_method_handler(handle)

    return await _listen(choose)


async def activator(pod_port: int) -> int:
    """The activator's board as in its process, with its metrics, and one pod that is ready."""
    port = 20_000 + pod_port % 10_000
    news = HeldNews(tuple)
    board = Board(
        look=lambda _key: Target(port, pods=(f"{HOST}:{pod_port}",)),
        meter=Metrics(),
        memory=Memory(),
        connections=Connections(age=_AGE, host=HOST),
        health=HealthServicer(),
        changed=news.changed,
    )
    _kept.append(asyncio.create_task(board.run()))
    board.touched(_KEY)
    while not board.is_settled:  # noqa: ASYNC110  # a start, not a measurement
        await asyncio.sleep(0.01)
    return port


async def _main(part: str, ports: list[int]) -> None:
    starts: dict[str, Callable[..., Any]] = {"pod": pod, "bare": bare, "activator": activator}
    print(await starts[part](*ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], [int(each) for each in sys.argv[2:]]))
