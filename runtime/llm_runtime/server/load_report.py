"""How busy the pod is, as clients that balance by load read it (ORCA). Pure.

A gRPC client with weighted_round_robin gives a pod the weight rate / utilization. The rate that is
reported is a constant: with the true one, a pod that refuses fast would earn calls by refusing.
"""

from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

METADATA_KEY = "endpoint-load-metrics-bin"
"""Where clients look for the report in the trailing metadata of a call."""
RATE = 100.0
IDLE = 0.01
"""The least that is reported. Clients discard a report of 0 and keep the weight of busier times."""


def load_report(utilization: float) -> bytes:
    """The report as it is sent, a serialised OrcaLoadReport."""
    busy = max(IDLE, utilization)
    report = OrcaLoadReport(rps_fractional=RATE, application_utilization=busy)
    data: bytes = report.SerializeToString()
    return data
