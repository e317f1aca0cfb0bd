"""The self-check passes a model whose answers do not depend on how its prompt is cut."""

from collections.abc import Callable

import numpy as np
import pytest

from llm_runtime.backend.base import BackendError, StepInput, StepOutput
from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import GraphLayout
from llm_runtime.model.self_check import check_answers, check_shape

LAYOUT = GraphLayout(
    layers=1,
    query_heads=1,
    kv_heads=1,
    head_dim=16,
    hidden_size=16,
    vocab_size=50,
    max_context=64,
    max_capacity=1088,
)
Alter = Callable[[np.ndarray, StepInput], None]


class Model:
    """Logits that follow from the sequence so far, kept per slot; ``alter`` is its fault."""

    def __init__(self, alter: Alter) -> None:
        self._alter = alter
        self._sequences: dict[int, list[int]] = {}

    def load(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to close."""

    def step(self, step: StepInput) -> StepOutput:
        rows = []
        for row in step.rows:
            sequence = self._sequences.setdefault(row.slot, [])
            del sequence[row.start :]
            sequence += row.tokens
            if row.wants_logits:
                seed = [len(sequence), *sequence[-3:], sum(sequence)]
                rows.append(np.random.default_rng(seed).standard_normal(50).astype(np.float32))
        logits = np.array(rows, np.float32).reshape(len(rows), 50)
        self._alter(logits, step)
        return StepOutput(logits)


def sound(logits: np.ndarray, step: StepInput) -> None:
    """No fault."""


def rounding(logits: np.ndarray, step: StepInput) -> None:
    logits *= 1 + 1e-6 * step.rows[0].slot


def not_a_number(logits: np.ndarray, step: StepInput) -> None:
    logits[..., 0] = np.nan


def depends_on_chunks(logits: np.ndarray, step: StepInput) -> None:
    logits += 0.1 * step.rows[0].slot


@pytest.mark.parametrize("alter", [sound, rounding])
def test_a_sound_model_passes(alter: Alter) -> None:
    quality = check_answers(Model(alter), LAYOUT)
    assert 0 <= quality["chunkedPrefillMaxDifference"] < 1e-4


@pytest.mark.parametrize(
    ("alter", "words"),
    [(not_a_number, "not all finite"), (depends_on_chunks, "in chunks gives other logits")],
)
def test_a_model_that_answers_wrongly_does_not(alter: Alter, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        check_answers(Model(alter), LAYOUT)
    assert caught.value.reason is Reason.QUALITY_GATE_FAILED


def test_a_model_that_cannot_be_run_is_an_export_that_failed() -> None:
    def broken(logits: np.ndarray, step: StepInput) -> None:
        raise BackendError("no kernel")

    with pytest.raises(ModelError, match="no kernel") as caught:
        check_answers(Model(broken), LAYOUT)
    assert caught.value.reason is Reason.EXPORT_FAILED


@pytest.mark.parametrize("context", [1, 2, 7, 8, 9, 31, 64])
def test_a_short_context_is_enough(context: int) -> None:
    layout = LAYOUT.model_copy(update={"max_context": context})
    check_answers(Model(sound), layout)
    assert check_shape(layout).context <= context
