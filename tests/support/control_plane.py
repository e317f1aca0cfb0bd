"""The xDS control plane in a thread of its own, for tests of clients, whichever loop they use.

gRPC's own back-off belongs to an address, not to a channel, and outlives channels: after a control
plane has ended, this process may take seconds to connect to the next one on its port. So a control
plane begins with being reached.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc

from llm_operator.kube.store import Key
from llm_operator.xds.traffic import Endpoint, Policy, Traffic
from support.traffic_stage import TrafficStage
from support.waiting import until

Addresses = Sequence[str] | None
Endpoints = Mapping[str, Addresses]
"""What is served: `<name>.<namespace>` and the HOST:PORTs behind it. None says that there is no
such name."""

NOBODY = "nobody.anywhere"
SECONDS = 30.0


class ControlPlane:
    """Answers as the real one does when the cluster is as it was published last."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stage = TrafficStage(port=port)

    def start(self, endpoints: Endpoints) -> None:
        self._thread.start()
        self._do(self._stage.open())
        self.publish(endpoints)

    def publish(self, endpoints: Endpoints) -> None:
        """Replaces what is served; clients hear of it at once."""
        self._do(self._publish(endpoints))

    def stop(self) -> None:
        self._do(self._stage.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()

    async def _publish(self, endpoints: Endpoints) -> None:
        there = {name: addresses for name, addresses in endpoints.items() if addresses is not None}
        for key in set(self._stage.traffic) - {_key(name) for name in there}:
            self._stage.hide(key)
        for name, addresses in there.items():
            await self._stage.show(_traffic(_key(name), addresses))
        await self._stage.board.settled()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


@contextmanager
def control_plane(endpoints: Endpoints, port: int) -> Iterator[ControlPlane]:
    """A control plane on loopback, while the block runs; this process' bootstrap names the port."""
    plane = ControlPlane(port)
    plane.start(endpoints)
    try:
        until(_is_reached, seconds=60, what="gRPC to connect to the control plane", every=0.02)
        yield plane
    finally:
        plane.stop()


def _is_reached() -> bool:
    """Whether this process' xDS client has heard from its control plane."""
    with grpc.insecure_channel(f"xds:///{NOBODY}") as channel:
        asked = channel.unary_unary("/any/Call", None, None).future(b"", timeout=10)
        return "could not find VirtualHost" in (asked.details() or "")


def _key(name: str) -> Key:
    deployment, _, namespace = name.partition(".")
    return Key(namespace, deployment)


def _traffic(key: Key, addresses: Sequence[str]) -> Traffic:
    return Traffic(
        key=key,
        policy=Policy.PREFIX_AFFINITY,
        endpoints={key.name: tuple(sorted(map(_endpoint, addresses)))},
    )


def _endpoint(address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port))
