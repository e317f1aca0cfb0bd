"""What clients of the xDS control plane have accepted, as each of its pods told it last."""

from collections.abc import AsyncIterable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.control.channel import CONTROL_PORT, Endpoint
from llm_operator.control.streams import Metadata, Streams
from llm_operator.kube.store import Key
from llm_operator.rollout.clients import ClientTraffic


@dataclass(slots=True)
class TrafficReports:
    """Reports by control plane pod; `changed` is told of every LLMDeployment whose report moved."""

    token: Callable[[], str]
    changed: Callable[[Key], None]
    port: int = CONTROL_PORT
    _by_pod: dict[str, Mapping[Key, ClientTraffic]] = field(default_factory=dict)
    _followed: frozenset[str] = frozenset()
    _streams: Streams[control_pb2.WatchTrafficResponse] = field(init=False)

    def __post_init__(self) -> None:
        self._streams = Streams(_watch_traffic, self._heard, self.token, self.port)

    def follow(self, pods: Iterable[Endpoint]) -> None:
        """Listens to exactly these control plane pods."""
        endpoints = tuple(pods)
        self._followed = frozenset(endpoint.uid for endpoint in endpoints)
        for uid in set(self._by_pod) - self._followed:
            del self._by_pod[uid]
        self._streams.follow("xds", endpoints)

    def of(self, key: Key) -> tuple[ClientTraffic | None, ...]:
        """One for each pod that is followed; None for one that has not been heard."""
        return tuple(
            self._by_pod[uid].get(key, ClientTraffic()) if uid in self._by_pod else None
            for uid in sorted(self._followed)
        )

    async def aclose(self) -> None:
        """Stops listening."""
        await self._streams.aclose()
        self._by_pod.clear()
        self._followed = frozenset()

    def _heard(
        self, _group: Hashable, endpoint: Endpoint, answer: control_pb2.WatchTrafficResponse | None
    ) -> None:
        before = self._by_pod.pop(endpoint.uid, {})
        after = _read(answer) if answer is not None else {}
        if answer is not None:
            self._by_pod[endpoint.uid] = after
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                self.changed(key)


def _read(answer: control_pb2.WatchTrafficResponse) -> Mapping[Key, ClientTraffic]:
    return {
        Key(told.namespace, told.name): ClientTraffic(
            shares={share.revision: share.percent for share in told.shares},
            streams=told.streams,
            acknowledged=told.acknowledged,
            refusal=told.refusal,
        )
        for told in answer.traffic
    }


def _watch_traffic(channel: grpc.aio.Channel, metadata: Metadata) -> AsyncIterable[Any]:
    stub = control_pb2_grpc.TrafficStub(channel)
    messages: Any = stub.WatchTraffic(control_pb2.WatchTrafficRequest(), metadata=metadata)
    found: AsyncIterable[Any] = messages
    return found
