"""Chooses the next token from a row of logits. Pure: the same row, settings and position give the
same token.

The random number of a token comes from a counter-based generator keyed by the request's seed and
the token's position, so it does not depend on what else runs, in which slot, or how the prompt was
cut. Temperature comes first, then top-k, then top-p, like in transformers.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from llm_runtime.engine.request import Sampling

Logits = NDArray[np.float32]


class NotFiniteError(ArithmeticError):
    """The model gave NaN or infinite logits."""


def choose(logits: Logits, sampling: Sampling, position: int, banned: Collection[int] = ()) -> int:
    """Returns a token id.

    Args:
        logits: one row, [vocabulary].
        sampling: the request's settings.
        position: number of tokens generated before this one.
        banned: ids that cannot be chosen.

    Raises:
        NotFiniteError: there is no finite maximum.
    """
    if banned:
        logits = logits.copy()
        logits[list(banned)] = -np.inf
    best = int(logits.argmax())
    if not np.isfinite(logits[best]):
        raise NotFiniteError("the logits are not finite")
    if sampling.temperature == 0.0 or sampling.top_k == 1:
        return best
    return _sample(logits, float(logits[best]), sampling, position)


def _sample(logits: Logits, top: float, sampling: Sampling, position: int) -> int:
    candidates = _top_k(logits, sampling.top_k)
    scaled = (logits[candidates].astype(np.float64) - top) / sampling.temperature
    weights = np.exp(scaled)
    if sampling.top_p < 1.0:
        kept = _top_p(weights, sampling.top_p)
        candidates, weights = candidates[kept], weights[kept]
    cumulative = weights.cumsum()
    target = _uniform(sampling.seed, position) * cumulative[-1]
    index = min(int(np.searchsorted(cumulative, target, side="right")), len(candidates) - 1)
    return int(candidates[index])


def _top_k(logits: Logits, k: int) -> NDArray[np.intp]:
    """Ids of the k largest logits in ascending order of id; all of them for k = 0."""
    if k == 0 or k >= len(logits):
        return np.arange(len(logits))
    return np.sort(np.argpartition(logits, len(logits) - k)[-k:])


def _top_p(weights: NDArray[np.float64], p: float) -> NDArray[np.intp]:
    """Indices, ascending, of the fewest largest weights that make up the share p; at least one."""
    order = np.argsort(-weights, kind="stable")
    before = weights[order].cumsum() - weights[order]
    return np.sort(order[before < p * weights.sum()])


def _uniform(seed: int, position: int) -> float:
    key = np.array([seed, position], dtype=np.uint64)
    return float(np.random.Generator(np.random.Philox(key=key)).random())
