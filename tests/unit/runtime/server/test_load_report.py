import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

from llm_runtime.server.load_report import IDLE, RATE, load_report


def told(utilization: float) -> float:
    report = OrcaLoadReport.FromString(load_report(utilization))
    return float(report.application_utilization)


def test_an_idle_pod_reports_the_least_and_not_nothing() -> None:
    assert told(0.0) == IDLE > 0


def test_a_report_has_the_constant_rate_and_the_utilization_and_nothing_else() -> None:
    report = OrcaLoadReport.FromString(load_report(0.6))
    assert {field.name: value for field, value in report.ListFields()} == {
        "rps_fractional": RATE,
        "application_utilization": pytest.approx(0.6),
    }


@given(st.floats(0, 1e300))
def test_whatever_the_load_a_client_takes_the_report(utilization: float) -> None:
    assert math.isfinite(told(utilization))
    assert told(utilization) >= IDLE
