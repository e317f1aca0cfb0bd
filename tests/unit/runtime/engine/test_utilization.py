from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.backend.base import CacheShape
from llm_runtime.engine.batch import Load
from llm_runtime.engine.utilization import IDLE_SECONDS, Utilization, utilization

SHAPE = CacheShape(slots=4, context=1000, chunk=256)
shapes = st.builds(
    CacheShape, slots=st.integers(1, 512), context=st.integers(1, 10**6), chunk=st.just(64)
)
counts = st.integers(0, 10**12)
loads = st.builds(Load, counts, counts, counts, counts)


def test_requests_count_by_slots_and_tokens_by_caches() -> None:
    assert utilization(Load(1, 1, 300, 100), SHAPE) == pytest.approx(2 / 4 + 400 / 4000)


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


def test_half_the_time_busy_is_half_busy_at_whatever_moment_one_looks() -> None:
    seen, looks = Utilization(), []
    for tick in range(400):
        now = tick * 0.05
        seen = seen.see(now, float(tick % 2))
        if now > 10:
            looks.append(seen.lately(now + 0.02))
    assert all(0.45 < look < 0.55 for look in looks)


def test_a_pod_that_becomes_busy_says_so_within_seconds() -> None:
    busy = Utilization().see(10.0, 2.0)
    assert busy.lately(10.0) == 0.0
    assert busy.lately(12.0) > 1.7


def test_a_second_without_a_request_is_idleness_whatever_was_before() -> None:
    seen = Utilization().see(0.0, 8.0).see(60.0, 0.0).see(60.5, 0.0)
    assert seen.lately(60.9) > 1.0
    assert seen.lately(60.0 + IDLE_SECONDS) == 0.0
    assert seen.see(61.5, 1.0).lately(61.5) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 9.0)), max_size=30))
def test_the_mean_is_within_what_was(history: list[tuple[float, float]]) -> None:
    seen, now = Utilization(), 0.0
    for after, value in history:
        now += after
        seen = seen.see(now, value)
    highest = max((value for _, value in history), default=0.0)
    assert 0.0 <= seen.lately(now + 1) <= highest + 1e-9
