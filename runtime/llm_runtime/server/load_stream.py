"""xds.service.orca.v3.OpenRcaService: the load report to each client, again and again.

The weight of a pod that a client sends few calls to, or none, would otherwise never change.
"""

# ruff: noqa: N802 - gRPC names the method

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from xds.service.orca.v3 import orca_pb2

from llm_runtime.server.load_report import METADATA_KEY
from llm_runtime.server.rpc import Context, Trailers

SERVICE = str(orca_pb2.DESCRIPTOR.services_by_name["OpenRcaService"].full_name)
METHOD = f"/{SERVICE}/StreamCoreMetrics"

_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
# Pauses are longer by up to this share. Streams that fell into step, in a moment in which the loop
# was busy, fall out of it: hundreds of messages at once would hold up the tokens of all answers.
_JITTER = 0.1
# One report is made for all streams that speak within this time.
_FRESH_SECONDS = 0.1


def pause(asked: Duration) -> float:
    """Seconds between two reports: what the client asks for, within bounds. Unset asks for 0."""
    return min(max(_SHORTEST_SECONDS, asked.seconds + asked.nanos / 1e9), _LONGEST_SECONDS)


class LoadStream:
    """Streams of what `read` returns, a serialised report. Used in one event loop."""

    def __init__(
        self, read: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._shared = b""
        self._stale_at = -1.0

    def trailers(self) -> Trailers:
        """The report of this moment, for the end of a call."""
        return ((METADATA_KEY, self._read()),)

    async def StreamCoreMetrics(self, request: Any, context: Context) -> None:
        """Reports at once and then until the client, its connection or the server goes away.

        gRPC's own clients end the stream themselves when they hear that the connection has aged,
        and begin a new one on the next.
        """
        seconds = pause(request.report_interval)
        while True:
            await context.write(self._report())
            await asyncio.sleep(seconds * random.uniform(1.0, 1.0 + _JITTER))  # noqa: S311

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves the one method, for which grpcio has no generated code."""
        handler = grpc.unary_stream_rpc_method_handler(
            self.StreamCoreMetrics,
            request_deserializer=orca_pb2.OrcaLoadReportRequest.FromString,
        )
        methods = {METHOD.rpartition("/")[2]: handler}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))

    def _report(self) -> bytes:
        now = self._clock()
        if now >= self._stale_at:
            self._shared, self._stale_at = self._read(), now + _FRESH_SECONDS
        return self._shared
