"""How busy the pod is, as clients that balance by load read it (ORCA). Pure.

A gRPC client with weighted_round_robin gives a pod the weight rate / utilization. The rate that is
reported is a constant: with the true one, a pod that refuses fast would earn calls by refusing.
"""

from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

from llm_runtime.backend.base import CacheShape
from llm_runtime.engine.batch import Load

METADATA_KEY = "endpoint-load-metrics-bin"
"""Where clients look for the report in the trailing metadata of a call."""
RATE = 100.0
IDLE = 0.01
"""The least that is reported. Clients discard a report of 0 and keep the weight of busier times."""


def utilization(load: Load, shape: CacheShape) -> float:
    """What runs and waits, as a share of what the pod can run at once; above 1 where much waits.

    It is the requests' share of the slots plus the tokens' share of the caches. Tokens alone make a
    pod look idle whose slots are all taken by short requests. The larger of the two would be the
    slots' share alone: no request holds more tokens than its slot has room for. The sum is at least
    1 while no slot is free, and among pods with as many requests the one with shorter ones is less
    busy. Never below `IDLE`.
    """
    requests = (load.running + load.waiting) / shape.slots
    tokens = (load.tokens_held + load.tokens_queued) / (shape.slots * shape.context)
    return max(IDLE, requests + tokens)


def load_report(load: Load, shape: CacheShape) -> bytes:
    """The report as it is sent, a serialised OrcaLoadReport."""
    report = OrcaLoadReport(rps_fractional=RATE, application_utilization=utilization(load, shape))
    data: bytes = report.SerializeToString()
    return data
