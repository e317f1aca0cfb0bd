"""The load of every runtime pod, as its stream told it last, and what activators hold."""

import time
from collections.abc import AsyncIterable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.autoscale.signals import HeldCalls, PodLoad, Silence
from llm_operator.control.channel import CONTROL_PORT, Endpoint
from llm_operator.control.clock_offset import ClockOffset
from llm_operator.control.load import pod_load
from llm_operator.control.streams import Metadata, Streams
from llm_operator.kube.store import Key


@dataclass(slots=True)
class Loads:
    """Loads by pod uid; `changed` is told of an LLMDeployment whose pods said something.

    A pod whose stream is silent, broken or not credible has no load. What is known of a pod goes
    with it.
    """

    token: Callable[[], str]
    changed: Callable[[Key, PodLoad | None, PodLoad | None], None]
    """Gets the load before and after."""
    port: int = CONTROL_PORT
    clock: Callable[[], float] = time.monotonic
    _loads: dict[str, PodLoad] = field(default_factory=dict)
    _offsets: dict[str, ClockOffset] = field(default_factory=dict)
    """Of the pods that have a load."""
    _silent: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Since when pods say nothing, and whether they never have."""
    _followed: dict[Key, frozenset[str]] = field(default_factory=dict)
    _streams: Streams[control_pb2.GetLoadResponse] = field(init=False)

    def __post_init__(self) -> None:
        self._streams = Streams(_watch_load, self._heard, self.token, self.port)

    def follow(self, key: Key, pods: Iterable[Endpoint]) -> None:
        """Listens to exactly these pods of the LLMDeployment."""
        endpoints = tuple(pods)
        now = frozenset(endpoint.uid for endpoint in endpoints)
        before = self._followed.pop(key, frozenset())
        for uid in before - now:
            self._loads.pop(uid, None)
            self._offsets.pop(uid, None)
            self._silent.pop(uid, None)
        for uid in now - before:
            self._silent[uid] = (self.clock(), True)
        if now:
            self._followed[key] = now
        self._streams.follow(key, endpoints)

    def of(self, key: Key) -> Mapping[str, PodLoad]:
        """What is known of the LLMDeployment's pods, by uid."""
        followed = self._followed.get(key, ())
        return {uid: self._loads[uid] for uid in followed if uid in self._loads}

    def ages(self, key: Key) -> Mapping[str, float]:
        """How many seconds ago what is known of the LLMDeployment's pods was true, by uid, of those
        that tell."""
        now = self.clock()
        return {
            uid: max(0.0, now - self._offsets[uid].ours(load.at_seconds))
            for uid, load in self.of(key).items()
            if load.at_seconds
        }

    def silences(self, key: Key) -> Mapping[str, Silence]:
        """The LLMDeployment's pods that say nothing (credible), by uid."""
        silent = ((uid, self._silent.get(uid)) for uid in self._followed.get(key, ()))
        now = self.clock()
        return {uid: Silence(now - told[0], told[1]) for uid, told in silent if told is not None}

    async def aclose(self) -> None:
        """Stops listening."""
        await self._streams.aclose()
        self._loads.clear()
        self._silent.clear()
        self._followed.clear()

    def _heard(
        self, group: Hashable, endpoint: Endpoint, answer: control_pb2.GetLoadResponse | None
    ) -> None:
        before = self._loads.pop(endpoint.uid, None)
        offset = self._offsets.pop(endpoint.uid, None)
        after = pod_load(answer) if answer is not None else None
        if after is not None:
            self._loads[endpoint.uid] = after
            self._offsets[endpoint.uid] = self._offset(offset, before, after)
            self._silent.pop(endpoint.uid, None)
        elif before is not None:
            self._silent[endpoint.uid] = (self.clock(), False)
        if isinstance(group, Key):
            self.changed(group, before, after)

    def _offset(
        self, known: ClockOffset | None, before: PodLoad | None, after: PodLoad
    ) -> ClockOffset:
        """With the message that has just come. A clock that runs backwards is a new process's."""
        if known is None or before is None or after.at_seconds < before.at_seconds:
            return ClockOffset.first(self.clock(), after.at_seconds)
        return known.see(self.clock(), after.at_seconds)


@dataclass(slots=True)
class Held:
    """What activators hold, summed over them; `changed` is told of every LLMDeployment whose
    figures moved."""

    token: Callable[[], str]
    changed: Callable[[Key], None]
    port: int = CONTROL_PORT
    _by_pod: dict[str, dict[Key, HeldCalls]] = field(default_factory=dict)
    _streams: Streams[control_pb2.WatchHeldResponse] = field(init=False)

    def __post_init__(self) -> None:
        self._streams = Streams(_watch_held, self._heard, self.token, self.port)

    def follow(self, activators: Iterable[Endpoint]) -> None:
        """Listens to exactly these activator pods."""
        endpoints = tuple(activators)
        for uid in set(self._by_pod) - {endpoint.uid for endpoint in endpoints}:
            del self._by_pod[uid]
        self._streams.follow("activators", endpoints)

    def of(self, key: Key) -> HeldCalls:
        """The calls that are held for the LLMDeployment now."""
        found = [pod[key] for pod in self._by_pod.values() if key in pod]
        return HeldCalls(
            calls=sum(held.calls for held in found),
            forwarding=sum(held.forwarding for held in found),
            received=sum(held.received for held in found),
        )

    async def aclose(self) -> None:
        """Stops listening."""
        await self._streams.aclose()
        self._by_pod.clear()

    def _heard(
        self, _group: Hashable, endpoint: Endpoint, answer: control_pb2.WatchHeldResponse | None
    ) -> None:
        before = self._by_pod.pop(endpoint.uid, {})
        after = _held(answer) if answer is not None else {}
        if after:
            self._by_pod[endpoint.uid] = after
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key):
                self.changed(key)


def _held(answer: control_pb2.WatchHeldResponse) -> dict[Key, HeldCalls]:
    return {
        Key(held.namespace, held.name): HeldCalls(
            calls=held.calls, forwarding=held.forwarding, received=held.calls_received
        )
        for held in answer.held
    }


def _watch_load(channel: grpc.aio.Channel, metadata: Metadata) -> AsyncIterable[Any]:
    stub = control_pb2_grpc.ControlStub(channel)
    return _stream(stub.WatchLoad(control_pb2.WatchLoadRequest(), metadata=metadata))


def _watch_held(channel: grpc.aio.Channel, metadata: Metadata) -> AsyncIterable[Any]:
    stub = control_pb2_grpc.ActivationStub(channel)
    return _stream(stub.WatchHeld(control_pb2.WatchHeldRequest(), metadata=metadata))


def _stream(call: Any) -> AsyncIterable[Any]:
    """The stubs are typed for both kinds of channel; ours is asynchronous."""
    messages: AsyncIterable[Any] = call
    return messages
