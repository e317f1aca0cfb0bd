"""A model answers the same however its prompt is cut into steps, and answers with numbers.

This is the last check before an artifact is stored: a graph with a wrong cache index or a broken
weight passes every digest, but not this.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_runtime.backend.base import Backend, BackendError, CacheShape, StepInput, StepRow
from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import GraphLayout

_PROMPT_TOKENS = 24
_ANSWER_TOKENS = 8
_CHUNK = 7
# float32 sums in another order; measured on random and trained models: below 2e-5 of the largest.
_TOLERANCE = 1e-3

Logits = NDArray[np.float32]


def check_shape(layout: GraphLayout) -> CacheShape:
    """The room that the check needs: two slots and a short context."""
    context = min(layout.max_context, _PROMPT_TOKENS + _ANSWER_TOKENS)
    return CacheShape(slots=2, context=context, chunk=context)


def check_answers(backend: Backend, layout: GraphLayout) -> dict[str, float]:
    """Loads the backend, compares a whole prompt with the same in chunks, and returns figures.

    Raises ModelError: ExportFailed when it cannot be run, QualityGateFailed for a wrong answer.
    """
    prompt, answers = _lengths(layout)
    tokens = [int(each) for each in np.linspace(0, layout.vocab_size - 1, prompt)]
    try:
        backend.load()
        try:
            whole = _continue(backend, 0, [tokens], answers)
            pieces = [tokens[start : start + _CHUNK] for start in range(0, prompt, _CHUNK)]
            chunked = _continue(backend, 1, pieces, answers)
        finally:
            backend.close()
    except BackendError as error:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"the exported model cannot be run ({error}); report it with the model's name",
        ) from error
    return {"chunkedPrefillMaxDifference": _compare(whole, chunked)}


def _lengths(layout: GraphLayout) -> tuple[int, int]:
    context = check_shape(layout).context
    answers = min(_ANSWER_TOKENS, max(1, context // 4))
    return max(1, context - answers), answers


def _continue(
    backend: Backend, slot: int, pieces: Sequence[Sequence[int]], answers: int
) -> list[Logits]:
    """Logits after the prompt and after each greedily chosen token."""
    start = 0
    for piece in pieces[:-1]:
        backend.step(StepInput((StepRow(slot, start, piece, wants_logits=False),)))
        start += len(piece)
    found: list[Logits] = []
    piece = pieces[-1]
    for _ in range(answers):
        logits = backend.step(StepInput((StepRow(slot, start, piece),))).logits[0].copy()
        found.append(logits)
        start += len(piece)
        piece = [int(logits.argmax())]
    return found


def _compare(whole: Sequence[Logits], chunked: Sequence[Logits]) -> float:
    if not all(np.isfinite(logits).all() for logits in [*whole, *chunked]):
        raise _wrong("its logits are not all finite")
    worst = 0.0
    for left, right in zip(whole, chunked, strict=True):
        scale = max(1.0, float(np.abs(left).max()))
        worst = max(worst, float(np.abs(left - right).max()) / scale)
        if worst > _TOLERANCE:
            raise _wrong(f"a prompt in chunks gives other logits (by {worst:.1e}) than the whole")
        if left.argmax() != right.argmax():
            break  # a tie within the tolerance: from here on the texts differ
    return worst


def _wrong(what: str) -> ModelError:
    return ModelError(
        Reason.QUALITY_GATE_FAILED,
        f"the exported model failed its self-check: {what}; check that the checkpoint is the one"
        " its config.json describes",
    )
