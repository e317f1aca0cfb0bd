"""Channels to the ready pods of one LLMDeployment. A call goes to the pod with the fewest."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

logger = logging.getLogger(__name__)

MESSAGE_BYTES = 1 << 20
"""The runtime's own limit."""
METADATA_BYTES = 16 << 10


def channel_options(message_bytes: int) -> list[tuple[str, int]]:
    """Arguments of channels to pods."""
    return [
        ("grpc.enable_http_proxy", 0),  # pods are never behind a web proxy
        ("grpc.enable_retries", 0),  # `verdict` decides, over all pods
        ("grpc.use_local_subchannel_pool", 1),  # a pod that takes over an address is another pod
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", 20_000),  # a node that went away is noticed within 30 s
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.bdp_probe", 0),  # a client that reads slowly slows its pod, not our memory
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        ("grpc.max_metadata_size", METADATA_BYTES),
    ]


@dataclass(slots=True, eq=False)
class Pod:
    """One pod: its channel, and how many calls it has of us."""

    address: str
    channel: grpc.aio.Channel
    calls: int = 0
    is_connected: bool = False
    is_leaving: bool = False
    _watching: "asyncio.Task[None] | None" = None

    def open(self, method: str) -> Callable[..., Any]:
        """A way to call this method with bytes as messages."""
        opener: Callable[..., Any] = self.channel.stream_stream(method)  # type: ignore[call-arg]
        return opener

    def watch(self, connected: Callable[[], None]) -> None:
        """Keeps the connection up, and says each time that it has come up."""
        self._watching = asyncio.create_task(self._connect(connected), name=f"pod {self.address}")

    async def _connect(self, connected: Callable[[], None]) -> None:
        while True:
            state = self.channel.get_state(try_to_connect=True)
            self.is_connected = state is grpc.ChannelConnectivity.READY
            if self.is_connected:
                connected()
            await self.channel.wait_for_state_change(state)

    async def aclose(self) -> None:
        """Ends the connection, and every call on it."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        await self.channel.close(None)


@dataclass(slots=True)
class Pods:
    """All of them. `connected` is called when one can take calls."""

    connected: Callable[[], None]
    message_bytes: int = MESSAGE_BYTES
    _pods: dict[str, Pod] = field(default_factory=dict)
    _closing: "set[asyncio.Task[None]]" = field(default_factory=set)

    def follow(self, addresses: Iterable[str]) -> None:
        """Has exactly these pods. The calls of one that is gone go on to their end."""
        wanted = set(addresses)
        for address in wanted - set(self._pods):
            self._add(address)
        is_back = False
        for address, pod in list(self._pods.items()):
            is_back |= pod.is_leaving and pod.is_connected and address in wanted
            pod.is_leaving = address not in wanted
            self._let_go(pod)
        if is_back:
            self.connected()

    def pick(self, avoided: Collection[Pod]) -> Pod | None:
        """The pod for the next call: connected, none of `avoided`, with the fewest calls."""
        able = [
            pod
            for pod in self._pods.values()
            if pod.is_connected and not pod.is_leaving and pod not in avoided
        ]
        return min(able, key=lambda pod: pod.calls, default=None)

    def done(self, pod: Pod) -> None:
        """One of the pod's calls is over."""
        pod.calls -= 1
        self._let_go(pod)

    def __iter__(self) -> Iterator[Pod]:
        return iter(self._pods.values())

    async def aclose(self) -> None:
        """Ends every connection."""
        pods, self._pods = list(self._pods.values()), {}
        await asyncio.gather(*(pod.aclose() for pod in pods), *self._closing)

    def _add(self, address: str) -> None:
        options = channel_options(self.message_bytes)
        pod = Pod(address, grpc.aio.insecure_channel(address, options=options))
        self._pods[address] = pod
        pod.watch(self.connected)

    def _let_go(self, pod: Pod) -> None:
        if pod.is_leaving and not pod.calls and self._pods.get(pod.address) is pod:
            del self._pods[pod.address]
            task = asyncio.create_task(pod.aclose(), name=f"close {pod.address}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
