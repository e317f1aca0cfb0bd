"""xds.service.orca.v3.OpenRcaService: what clients that balance by load ask every endpoint.

Answered on the spot: held like any other call, it would wake a deployment that nobody uses.
"""

import asyncio
from typing import Any

import grpc
import grpc.aio
from xds.data.orca.v3 import orca_load_report_pb2
from xds.service.orca.v3 import orca_pb2

SERVICE = str(orca_pb2.DESCRIPTOR.services_by_name["OpenRcaService"].full_name)
REPORT = orca_load_report_pb2.OrcaLoadReport(rps_fractional=100.0, application_utilization=0.5)
"""One activator is as good as another."""
PERIOD_SECONDS = 5.0
"""Clients forget a report after ten."""


async def _report(_request: Any, context: Any) -> None:
    """Until the client or its connection goes away."""
    while True:
        await context.write(REPORT)
        await asyncio.sleep(PERIOD_SECONDS)


def add_to(server: grpc.aio.Server) -> None:
    """Serves the one method, for which grpcio has no generated code."""
    handler = grpc.unary_stream_rpc_method_handler(
        _report,
        request_deserializer=orca_pb2.OrcaLoadReportRequest.FromString,
        response_serializer=orca_load_report_pb2.OrcaLoadReport.SerializeToString,
    )
    methods = {"StreamCoreMetrics": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
