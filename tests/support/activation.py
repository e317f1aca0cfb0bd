"""An activator on loopback: its board as in the process, the slices told by the test."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from llm_operator.activator.board import Board, Holding
from llm_operator.activator.pods import Pod
from llm_operator.activator.port import Connections
from llm_operator.activator.room import Memory
from llm_operator.activator.target import Limits, Target
from llm_operator.kube.store import Key
from llm_operator.rpc import HealthServicer
from support.free_port import free_port
from support.scripted_pod import ScriptedPod, running_pod
from support.service_address import ServiceAddress, running_service

KEY = Key("models", "demo")
SECONDS = 10.0


class Counts:
    """A meter."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()
        self.held = 0

    def finished(self, result: str) -> None:
        self.results[result] += 1

    def was_held(self, seconds: float) -> None:
        assert seconds >= 0
        self.held += 1


@dataclass(slots=True)
class Activation:
    """The activator, the slices of its LLMDeployment, and clients."""

    stack: AsyncExitStack
    port: int
    connections: Connections
    memory: Memory = field(default_factory=Memory)
    target: Target = field(default_factory=Target)
    counts: Counts = field(default_factory=Counts)
    alarms: int = 0
    board: Board = field(init=False)

    key = KEY

    def __post_init__(self) -> None:
        self.restart()

    async def aclose(self) -> None:
        """Ends the process that is the current one."""
        await self.board.aclose(0.0)

    def restart(self) -> None:
        """A new process, which knows nothing."""
        self.board = Board(
            look=lambda _key: self.target,
            meter=self.counts,
            memory=self.memory,
            connections=self.connections,
            health=HealthServicer(),
            changed=self._changed,
        )

    def _changed(self, is_urgent: bool) -> None:
        self.alarms += is_urgent

    async def show(self, *pods: ScriptedPod, limits: Limits | None = None) -> None:
        """Our slice is there, and these pods are ready."""
        self.target = Target(
            self.port, limits or self.target.limits, tuple(pod.address for pod in pods)
        )
        await self._settle()

    async def withdraw(self, *pods: ScriptedPod) -> None:
        """Our slice is gone."""
        self.target = Target(pods=tuple(pod.address for pod in pods))
        await self._settle()

    def tell(self) -> None:
        """Our slice changed; `board.run` sees to it."""
        self.target = Target(self.port, self.target.limits, self.target.pods)
        self.board.touched(KEY)

    async def until_closed(self) -> None:
        await until(lambda: not self.board.ports)

    async def _settle(self) -> None:
        self.board.touched(KEY)
        assert await self.board.settle()

    def channel(self, port: int | None = None) -> Any:
        """A client's own connection. As by default, gRPC sends a call again that the end of a
        connection kept from the server."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port or self.port}", options=options)
        self.stack.push_async_callback(channel.close, None)
        return channel

    def client(self, port: int | None = None) -> Any:
        return self.client_on(self.channel(port))

    @staticmethod
    def client_on(channel: Any) -> Any:
        return inference_pb2_grpc.InferenceStub(channel)

    async def service(self) -> ServiceAddress:
        """The Service, which points to the activator."""
        return await self.stack.enter_async_context(running_service(self.port))

    async def pod(self) -> ScriptedPod:
        """A pod that listens. It is told of by `show`."""
        return await self.stack.enter_async_context(running_pod())

    async def generic_pod(self, handler: Any) -> ScriptedPod:
        """A pod whose every method is this handler, over bytes."""
        pod = ScriptedPod(free_port())
        await pod.start_generic(handler)
        self.stack.push_async_callback(pod.stop)
        return pod

    @property
    def pods(self) -> list[Pod]:
        """The pods as the activator knows them."""
        served = self.board.served(KEY)
        return list(served.pods) if served is not None else []

    @property
    def holding(self) -> Holding:
        return next(iter(self.board.holdings()), Holding(KEY, 0, 0, 0, 0))

    async def until_held(self, calls: int) -> None:
        await until(lambda: self.holding.calls == calls)


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds; looks at it again whenever other tasks had their turn."""
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110  # it waits for another task of this loop
            await asyncio.sleep(0.001)


def plain(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Metadata as pairs."""
    return tuple((key, value) for key, value in metadata)


def ask(text: str, tokens: int = 3) -> pb.GenerateRequest:
    return pb.GenerateRequest(text=text, stopping=pb.Stopping(max_new_tokens=tokens))
