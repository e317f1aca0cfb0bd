"""One listening port: the calls of one LLMDeployment, and health and reflection on the spot.

A port that is retired refuses nobody. Its connections end by their age, which is short: the client
gets a GOAWAY while its calls go on, and connects anew, now to a pod. Only when all must have gone
is the server stopped. (`Server.stop` at once would break off calls that cross its GOAWAY.)
"""

import logging
from dataclasses import dataclass, field
from functools import partial

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from llm_client.v1 import inference_pb2
from llm_operator.activator import load_report
from llm_operator.activator.pods import METADATA_BYTES
from llm_operator.activator.served import Served
from llm_operator.rpc import GenericHandler, Handler, HealthServicer

logger = logging.getLogger(__name__)

INFERENCE = inference_pb2.DESCRIPTOR.services_by_name["Inference"].full_name
SPOKEN_HERE = (INFERENCE, health.SERVICE_NAME, reflection.SERVICE_NAME)
"""What reflection tells of: the services that a pod has."""
LONGEST_CALL_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """age: seconds until a connection is sent away. message_bytes: the largest message."""

    age: float = 5.0
    message_bytes: int = 1 << 20
    host: str = "[::]"

    @property
    def longest_age(self) -> float:
        """Seconds within which every connection got its GOAWAY: gRPC draws up to a tenth more."""
        return self.age * 1.1 + 1.0

    def options(self) -> list[tuple[str, int]]:
        """Arguments of a server."""
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            ("grpc.max_send_message_length", self.message_bytes),
            ("grpc.max_metadata_size", METADATA_BYTES),
            (
                "grpc.http2.bdp_probe",
                0,
            ),  # windows of 64 KiB: what is held is bounded, not megabytes
            ("grpc.max_connection_age_ms", int(self.age * 1000)),
            ("grpc.max_connection_age_grace_ms", int(LONGEST_CALL_SECONDS * 1000)),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.http2.max_ping_strikes", 2),
            ("grpc.so_reuseport", 0),  # two processes must not share a port by accident
        ]


@dataclass(frozen=True, slots=True)
class Everything(GenericHandler):
    """Every method of every service, as bytes; methods that the server has itself come first."""

    served: Served

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """One handler for all four cardinalities: on the wire they are the same."""
        method = handler_call_details.method
        if method.startswith("/grpc.reflection."):
            return None  # of another version than ours: the client falls back
        return grpc.stream_stream_rpc_method_handler(partial(_handle, self.served, method))


async def _handle(served: Served, method: str, _requests: object, context: object) -> None:
    await served.handle(method, context)  # type: ignore[arg-type]


@dataclass(slots=True)
class Port:
    """A port number and, while it is open, its server."""

    number: int
    served: Served
    connections: Connections
    _server: grpc.aio.Server | None = field(default=None)

    async def open(self, health_: HealthServicer) -> None:
        """Starts listening; port 0 takes any. Raises RuntimeError when the port is taken."""
        server = grpc.aio.server(options=self.connections.options())
        load_report.add_to(server)
        server.add_generic_rpc_handlers((Everything(self.served),))
        health_pb2_grpc.add_HealthServicer_to_server(health_, server)
        reflection.enable_server_reflection(SPOKEN_HERE, server)
        self.number = server.add_insecure_port(f"{self.connections.host}:{self.number}")
        await server.start()
        self._server = server

    async def close(self, seconds: float) -> None:
        """Refuses new calls and waits until the running ones are over, at most so many seconds.
        Again with fewer seconds: that holds from then on."""
        if self._server is not None:
            await self._server.stop(seconds)
