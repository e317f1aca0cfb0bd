"""The two gRPC servers of a pod and the values they are started with."""

import asyncio
import logging
from dataclasses import dataclass

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from llm_client.v1 import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc
from llm_runtime.server import load_stream
from llm_runtime.server.auth import AsyncAuthInterceptor, TokenVerifier
from llm_runtime.server.calls import Calls
from llm_runtime.server.control import ControlService
from llm_runtime.server.health import Health
from llm_runtime.server.interceptors import CallInterceptor
from llm_runtime.server.load_feed import LONGEST_STREAM_SECONDS
from llm_runtime.server.load_stream import LoadStream
from llm_runtime.server.places import PlacesInterceptor, Room
from llm_runtime.server.rpc import Trailers
from llm_runtime.server.service import InferenceService

log = logging.getLogger(__name__)

_MESSAGE_BYTES = 1 << 20
_METADATA_BYTES = 16 << 10
CONTROL_CALL_SECONDS = 60.0
CONTROL_AGE_SECONDS = 3600.0
# Last messages and statuses are on their way for so long after the calls they belong to are over.
GOODBYE_SECONDS = 0.5
POD_KEY = "llm-pod"
"""Trailing metadata: the name of the pod that has answered, for people who look where calls go."""
_WATCH_LOAD = f"/{control_pb2.DESCRIPTOR.services_by_name['Control'].full_name}/WatchLoad"


@dataclass(frozen=True, slots=True)
class Connections:
    """How long connections and calls may last, in seconds."""

    age: float
    longest_call: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """The services of the data port, and the pod's name for who wonders which one answered."""

    inference: InferenceService
    health: Health
    load: LoadStream
    pod: str


def options(connections: Connections) -> list[tuple[str, int]]:
    """Channel arguments of both servers."""
    return [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", 128),
        ("grpc.max_metadata_size", _METADATA_BYTES),
        ("grpc.max_connection_idle_ms", 300_000),
        # Moves clients to new pods after a while; the grace is as long as any call, so none is cut.
        ("grpc.max_connection_age_ms", int(connections.age * 1000)),
        ("grpc.max_connection_age_grace_ms", int(connections.longest_call * 1000)),
        # Half-open connections are found within 80 s; clients may ping during a long prefill.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        # Two processes must not share a port by accident.
        ("grpc.so_reuseport", 0),
    ]


class DataPort:
    """Opens and closes servers for inference, a new one each time."""

    def __init__(self, spoken: Spoken, connections: Connections, room: Room, address: str) -> None:
        self._spoken = spoken
        self._connections = connections
        self._room = room
        self._host, _, port = address.rpartition(":")
        self.port = int(port)
        self._open: tuple[grpc.aio.Server, Calls] | None = None

    async def open(self) -> None:
        """Starts listening. Raises RuntimeError when the port is taken."""
        trailers = self._trailers
        calls = CallInterceptor(self._connections.longest_call, {load_stream.METHOD}, trailers)
        server = grpc.aio.server(
            interceptors=[PlacesInterceptor(self._room, trailers), calls],
            options=options(self._connections),
        )
        inference_pb2_grpc.add_InferenceServicer_to_server(self._spoken.inference, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._spoken.health.data, server)
        self._spoken.load.add_to(server)
        inference = inference_pb2.DESCRIPTOR.services_by_name["Inference"].full_name
        _reflect(server, inference, load_stream.SERVICE)
        self._open = server, calls.calls  # from here on `close` is responsible
        self.port = server.add_insecure_port(f"{self._host}:{self.port}")
        await server.start()
        log.info("Opened the data port", extra={"port": self.port})

    def _trailers(self) -> Trailers:
        """What every call ends with: how busy the pod is, and which one it was."""
        return (*self._spoken.load.trailers(), (POD_KEY, self._spoken.pod))

    async def close(self, seconds: float) -> None:
        """Refuses new calls and waits until the running ones are over, at most so many seconds."""
        opened, self._open = self._open, None
        if opened is not None:
            await _stop(*opened, seconds)
            log.info("Closed the data port", extra={"port": self.port})


@dataclass(frozen=True, slots=True)
class ControlPort:
    """The server that stays open until the process ends."""

    server: grpc.aio.Server
    port: int

    async def close(self) -> None:
        """Ends it, after what is being said."""
        await self.server.stop(GOODBYE_SECONDS)


async def open_control(
    service: ControlService, health_: Health, verifier: TokenVerifier, address: str
) -> ControlPort:
    """Starts the control port. Raises RuntimeError when the port is taken."""
    connections = Connections(CONTROL_AGE_SECONDS, LONGEST_STREAM_SECONDS + 60)
    calls = CallInterceptor(CONTROL_CALL_SECONDS, endless={_WATCH_LOAD})
    server = grpc.aio.server(
        interceptors=[AsyncAuthInterceptor(verifier), calls], options=options(connections)
    )
    control_pb2_grpc.add_ControlServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health_.control, server)
    _reflect(server, control_pb2.DESCRIPTOR.services_by_name["Control"].full_name)
    port = server.add_insecure_port(address)
    await server.start()
    return ControlPort(server, port)


def _reflect(server: grpc.aio.Server, *services: str) -> None:
    reflection.enable_server_reflection(
        (*services, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )


async def _stop(server: grpc.aio.Server, calls: Calls, seconds: float) -> None:
    """Refuses new calls, waits at most so many seconds for the running ones, and ends the rest.

    The rest are load reports, health watches and reflection, which last as long as their clients
    like.
    """
    stopped = asyncio.create_task(server.stop(seconds))
    while not stopped.done():
        over = asyncio.create_task(calls.over())
        await asyncio.wait({stopped, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        # A call that came in at the last moment is counted by the end of this.
        await asyncio.wait({stopped}, timeout=GOODBYE_SECONDS)
        if not calls.running:
            await server.stop(None)
    await stopped
