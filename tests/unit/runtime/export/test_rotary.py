"""Rotary tables: unit circles, exact at position 0, and Llama 3's stretching of long waves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.export.rotary import Llama3Scaling, Rotary, frequencies, tables

LLAMA3 = Llama3Scaling(8.0, 1.0, 4.0, 8192)


@given(
    theta=st.floats(1e3, 1e7),
    head_dim=st.sampled_from([16, 32, 64, 128]),
    positions=st.integers(1, 500),
)
def test_every_row_is_a_point_on_unit_circles(theta: float, head_dim: int, positions: int) -> None:
    cosines, sines = tables(Rotary(theta), head_dim, positions)
    assert cosines.shape == sines.shape == (positions, head_dim // 2)
    assert cosines.dtype == sines.dtype == np.float32
    np.testing.assert_allclose(cosines**2 + sines**2, 1, atol=1e-6)
    assert (cosines[0] == 1).all()
    assert (sines[0] == 0).all()


def test_the_first_feature_turns_one_radian_per_position() -> None:
    _, sines = tables(Rotary(10_000.0), 64, 4)
    np.testing.assert_allclose(sines[:, 0], np.sin([0, 1, 2, 3]), atol=1e-7)


def test_linear_scaling_slows_every_feature() -> None:
    plain, slow = frequencies(Rotary(1e4), 64), frequencies(Rotary(1e4, linear=4.0), 64)
    np.testing.assert_allclose(slow, plain / 4, rtol=1e-6)


def test_llama_3_keeps_short_waves_and_stretches_long_ones() -> None:
    plain, scaled = frequencies(Rotary(5e5), 128), frequencies(Rotary(5e5, llama3=LLAMA3), 128)
    wavelengths = 2 * np.pi / plain
    short, long = wavelengths < 8192 / 4, wavelengths > 8192
    np.testing.assert_array_equal(scaled[short], plain[short])
    np.testing.assert_allclose(scaled[long], plain[long] / 8, rtol=1e-6)
    between = ~short & ~long
    assert between.any()
    assert (scaled[between] < plain[between]).all()
    assert (scaled[between] > plain[between] / 8).all()
