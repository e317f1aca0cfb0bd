import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.backend.base import CacheShape
from llm_runtime.engine.capacity import CapacityError, Needs, Wishes, plan_shape

MIB = 1 << 20
SMALL = Needs(weight_bytes=4 * MIB, bytes_per_token=2048, max_context=512)
LARGE = Needs(weight_bytes=2000 * MIB, bytes_per_token=24_576, max_context=32_768)


def test_without_a_limit_the_models_own_context_and_sixteen_sequences_are_taken() -> None:
    assert plan_shape(SMALL, Wishes()) == CacheShape(slots=16, context=512, chunk=256)


def test_what_was_asked_for_is_given() -> None:
    shape = plan_shape(SMALL, Wishes(context=100, slots=3, memory_bytes=512 * MIB))
    assert shape == CacheShape(slots=3, context=100, chunk=100)


def test_too_little_memory_for_sixteen_means_fewer_sequences() -> None:
    shape = plan_shape(LARGE, Wishes(memory_bytes=6000 * MIB))
    assert shape.context == 32_768
    assert 1 <= shape.slots < 16


def test_too_little_memory_for_one_means_a_shorter_context() -> None:
    shape = plan_shape(LARGE, Wishes(memory_bytes=3000 * MIB))
    assert shape.slots == 1
    assert 64 <= shape.context < 32_768


def test_a_context_longer_than_the_models_is_refused_with_the_setting() -> None:
    with pytest.raises(CapacityError, match="maxContextLength is 513, the model holds 512 tokens"):
        plan_shape(SMALL, Wishes(context=513))


def test_what_was_asked_for_and_does_not_fit_is_refused_with_what_it_needs() -> None:
    with pytest.raises(CapacityError, match=r"need about \d+ MiB; raise resources.limits.memory"):
        plan_shape(LARGE, Wishes(context=32_768, slots=16, memory_bytes=4000 * MIB))


def test_a_limit_below_the_weights_is_refused() -> None:
    with pytest.raises(CapacityError, match="memory limit is too small"):
        plan_shape(LARGE, Wishes(memory_bytes=1000 * MIB))


@given(
    st.integers(200, 20_000),
    st.none() | st.integers(64, 32_768),
    st.none() | st.integers(1, 64),
)
def test_no_plan_exceeds_the_memory(limit: int, context: int | None, slots: int | None) -> None:
    try:
        shape = plan_shape(LARGE, Wishes(context, slots, limit * MIB))
    except CapacityError:
        return
    caches = shape.slots * shape.capacity * LARGE.bytes_per_token
    assert LARGE.weight_bytes + caches <= limit * MIB
    assert slots in (None, shape.slots)
    assert context in (None, shape.context)
