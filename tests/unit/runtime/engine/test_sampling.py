import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm_runtime.engine.request import Sampling
from llm_runtime.engine.sampling import NotFiniteError, choose

ROW = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], np.float32))


def draws(sampling: Sampling, count: int = 4000) -> list[int]:
    return [choose(ROW, sampling, position) for position in range(count)]


def shares(chosen: list[int]) -> np.ndarray:
    return np.bincount(chosen, minlength=len(ROW)) / len(chosen)


def test_temperature_zero_takes_the_most_likely_token() -> None:
    assert choose(ROW, Sampling(temperature=0.0), 0) == 0


def test_frequencies_follow_the_probabilities() -> None:
    np.testing.assert_allclose(
        shares(draws(Sampling(temperature=1.0, seed=1))), np.exp(ROW), atol=0.03
    )


def test_a_large_vocabulary_is_drawn_from_in_blocks_by_the_same_law() -> None:
    weights = np.random.default_rng(0).random(1000).astype(np.float32) ** 8
    row = np.log(weights)
    sampling = Sampling(temperature=1.0, seed=9)
    chosen = [choose(row, sampling, position) for position in range(20_000)]
    expected = weights / weights.sum()
    tens = np.bincount(chosen, minlength=1000).reshape(10, 100).sum(axis=1) / len(chosen)
    np.testing.assert_allclose(tens, expected.reshape(10, 100).sum(axis=1), atol=0.015)


def test_the_largest_are_found_exactly_whatever_the_blocks() -> None:
    row = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    expected = set(np.argsort(-row)[:20].tolist())
    sampling = Sampling(temperature=2.0, top_k=20, seed=4)
    assert {choose(row, sampling, position) for position in range(3000)} == expected


@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.9999])
def test_the_nucleus_of_a_large_vocabulary_is_exact(top_p: float) -> None:
    row = np.random.default_rng(2).standard_normal(5000).astype(np.float32) * 2
    weights = np.exp(row - row.max()).astype(np.float64)
    order = np.argsort(-weights)
    before = weights[order].cumsum() - weights[order]
    nucleus = set(order[before < top_p * weights.sum()].tolist())
    sampling = Sampling(temperature=1.0, top_p=top_p, seed=4)
    chosen = {choose(row, sampling, position) for position in range(3000)}
    assert chosen <= nucleus
    assert len(chosen) > 0.1 * min(len(nucleus), 3000)


def test_a_low_temperature_sharpens() -> None:
    sharp = np.exp(ROW / 0.5) / np.exp(ROW / 0.5).sum()
    np.testing.assert_allclose(shares(draws(Sampling(temperature=0.5, seed=2))), sharp, atol=0.03)


def test_top_k_keeps_the_k_most_likely() -> None:
    assert set(draws(Sampling(temperature=2.0, top_k=2))) == {0, 1}


def test_top_p_keeps_the_fewest_that_reach_the_share() -> None:
    assert set(draws(Sampling(temperature=1.0, top_p=0.76))) == {0, 1, 2}
    assert set(draws(Sampling(temperature=1.0, top_p=0.7))) == {0, 1}


def test_a_tiny_top_p_keeps_one() -> None:
    assert set(draws(Sampling(temperature=1.0, top_p=1e-6), 50)) == {0}


def test_top_p_counts_after_top_k() -> None:
    # Among the first two, the first one has two thirds.
    assert set(draws(Sampling(temperature=1.0, top_k=2, top_p=0.6), 200)) == {0}


def test_the_same_seed_and_position_give_the_same_token() -> None:
    sampling = Sampling(temperature=1.0, seed=2**64 - 1)
    assert draws(sampling, 100) == draws(sampling, 100)


def test_seeds_differ_and_positions_differ() -> None:
    first, second = (draws(Sampling(temperature=2.0, seed=seed), 100) for seed in (1, 2))
    assert first != second
    assert len(set(first)) > 1


def test_a_banned_token_is_never_chosen() -> None:
    assert choose(ROW, Sampling(), 0, banned={0}) == 1
    assert 0 not in {choose(ROW, Sampling(temperature=2.0), n, banned={0}) for n in range(500)}


def test_banning_leaves_the_logits_alone() -> None:
    row = ROW.copy()
    choose(row, Sampling(), 0, banned={0, 1})
    np.testing.assert_array_equal(row, ROW)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    row = ROW.copy()
    row[3] = bad
    for sampling in (Sampling(), Sampling(temperature=1.0)):
        with pytest.raises(NotFiniteError):
            choose(row, sampling, 0)


def test_impossible_tokens_are_never_drawn() -> None:
    row = np.array([-np.inf, 0.0, -np.inf, 0.0], np.float32)
    chosen = {choose(row, Sampling(temperature=2.0, seed=5), n) for n in range(300)}
    assert chosen == {1, 3}


@given(
    arrays(np.float32, 40, elements=st.floats(-30, 30, width=32)),
    st.floats(0.01, 2),
    st.integers(0, 40),
    st.floats(0.001, 1),
    st.integers(0, 2**64 - 1),
)
def test_a_choice_is_always_among_the_kept(
    row: np.ndarray, temperature: float, top_k: int, top_p: float, seed: int
) -> None:
    token = choose(row, Sampling(temperature, top_k, top_p, seed), 3)
    assert int((row > row[token]).sum()) < (top_k or len(row))
    weights = np.exp((row.astype(np.float64) - row.max()) / temperature)
    clearly_larger = weights > weights[token] * (1 + 1e-5)  # weights are rounded to 32 bits
    assert weights[clearly_larger].sum() <= top_p * weights.sum() * (1 + 1e-5)
