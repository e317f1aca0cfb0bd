"""Which connection a request takes.

Channels of one process share their connections unless they are told not to, so policies that mean
a connection of its own give each channel its own pool.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

import grpc.aio

from llm_client import Client
from llm_client.lines import Direct
from llm_client.transport import CHANNEL_OPTIONS, ROUND_ROBIN

Option = tuple[str, int | str]


class Policy(StrEnum):
    """How requests share connections.

    STREAM: requests that run at the same time never do, one after the other may; where a plan names
    clients, those of one client do. SHARED: one for
    all. CALL: a new one for each. ROUND_ROBIN: one to each address that DNS tells, requests in
    turns; for headless Services. gRPC asks DNS again when a connection ends, not before.
    """

    STREAM = "stream"
    SHARED = "shared"
    CALL = "call"
    ROUND_ROBIN = "round-robin"


class Connections:
    """Makes clients as the policy says. Close it when no request is under way any more."""

    def __init__(self, target: str, policy: Policy, *, retries: bool = True) -> None:
        """retries: of llm_client, while nothing of an answer has arrived."""
        self._target = target
        self._policy = policy
        self._options = channel_options(policy, retries)
        self._kept: dict[int, Client] = {}

    @asynccontextmanager
    async def client(self, lane: int, timeout: float) -> AsyncIterator[Client]:  # noqa: ASYNC109
        """The client for a request in the lane; `timeout` is its deadline in seconds."""
        if self._policy is Policy.CALL:
            async with self._connect(timeout) as fresh:
                yield fresh
            return
        key = lane if self._policy is Policy.STREAM else 0
        if key not in self._kept:
            self._kept[key] = self._connect(timeout)
        yield self._kept[key]

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._kept.values():
            await client.close()
        self._kept.clear()

    def _connect(self, timeout: float) -> Client:
        channel = grpc.aio.insecure_channel(self._target, self._options)
        return Client(Direct(channel, self._target), timeout)


def channel_options(policy: Policy, retries: bool) -> tuple[Option, ...]:
    """The options of llm_client, changed as the policy needs."""
    options = dict(CHANNEL_OPTIONS)
    if policy is Policy.ROUND_ROBIN:
        options["grpc.service_config"] = ROUND_ROBIN
    if policy in (Policy.STREAM, Policy.CALL):
        options["grpc.use_local_subchannel_pool"] = 1
    if not retries:
        options["grpc.enable_retries"] = 0
    return tuple(options.items())
