import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport

from llm_runtime.backend.base import CacheShape
from llm_runtime.engine.batch import Load
from llm_runtime.server.load_report import IDLE, RATE, load_report, utilization

SHAPE = CacheShape(slots=4, context=1000, chunk=256)
shapes = st.builds(
    CacheShape, slots=st.integers(1, 512), context=st.integers(1, 10**6), chunk=st.just(64)
)
counts = st.integers(0, 10**12)
loads = st.builds(Load, counts, counts, counts, counts)


def test_an_idle_pod_reports_the_least_and_not_nothing() -> None:
    assert utilization(Load(), SHAPE) == IDLE > 0


def test_a_report_has_the_constant_rate_and_the_utilization_and_nothing_else() -> None:
    report = OrcaLoadReport.FromString(load_report(Load(1, 1, 300, 100), SHAPE))
    assert {field.name: value for field, value in report.ListFields()} == {
        "rps_fractional": RATE,
        "application_utilization": pytest.approx(2 / 4 + 400 / 4000),
    }


@given(loads, shapes)
def test_whatever_the_load_a_client_takes_the_report(load: Load, shape: CacheShape) -> None:
    report = OrcaLoadReport.FromString(load_report(load, shape))
    assert math.isfinite(report.application_utilization)
    assert report.application_utilization >= IDLE
    assert report.rps_fractional == RATE


@given(loads, shapes, st.sampled_from([field.name for field in fields(Load)]), counts)
def test_more_of_anything_is_never_reported_as_less(
    load: Load, shape: CacheShape, what: str, more: int
) -> None:
    busier = replace(load, **{what: getattr(load, what) + more})
    assert utilization(busier, shape) >= utilization(load, shape)


@given(st.integers(0, 10_000))
def test_a_pod_without_a_free_slot_reports_at_least_1_however_short_its_requests_are(
    waiting: int,
) -> None:
    full = Load(running=SHAPE.slots, waiting=waiting, tokens_held=4, tokens_queued=waiting)
    assert utilization(full, SHAPE) >= 1 + waiting / SHAPE.slots


def test_short_requests_in_all_slots_are_busier_than_a_long_one_beside_free_slots() -> None:
    short = Load(running=4, waiting=3, tokens_held=80, tokens_queued=60)
    long = Load(running=1, tokens_held=900)
    assert utilization(short, SHAPE) > utilization(long, SHAPE)


def test_of_as_many_requests_the_longer_ones_are_busier() -> None:
    short, long = Load(2, 1, 40, 20), Load(2, 1, 1500, 900)
    assert utilization(long, SHAPE) > utilization(short, SHAPE)
