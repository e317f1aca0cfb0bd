"""The packed step on the real session:

whatever the layout of a step, a sequence's logits are its own.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_runtime.backend.base import BackendError, CacheShape, StepInput, StepRow
from llm_runtime.backend.ort import OrtBackend
from llm_runtime.export.layout import GraphLayout
from llm_runtime.export.manifest import load_manifest

SHAPE = CacheShape(slots=6, context=100, chunk=16)
CLOSE = 1e-4


def new_backend(artifact: Path, shape: CacheShape = SHAPE) -> OrtBackend:
    graph = load_manifest(artifact).graph
    return OrtBackend(artifact / graph.file, graph.layout, shape, threads=1)


@pytest.fixture
def backend(artifact: Path) -> Iterator[OrtBackend]:
    loaded = new_backend(artifact)
    loaded.load()
    yield loaded
    loaded.close()


def step(backend: OrtBackend, *rows: StepRow) -> NDArray[np.float32]:
    return backend.step(StepInput(rows)).logits.copy()


def tokens(count: int, seed: int = 0) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(5, 600, count)]


def test_a_prompt_in_chunks_gives_the_logits_of_the_whole(backend: OrtBackend) -> None:
    prompt = tokens(16)
    [whole] = step(backend, StepRow(0, 0, prompt))
    assert step(backend, StepRow(1, 0, prompt[:7], wants_logits=False)).size == 0
    step(backend, StepRow(1, 7, prompt[7:15]))
    [chunked] = step(backend, StepRow(1, 15, prompt[15:]))
    np.testing.assert_allclose(chunked, whole, atol=CLOSE)


def test_chunks_decodes_and_idle_slots_share_a_step_without_touching_each_other(
    backend: OrtBackend,
) -> None:
    texts = {slot: tokens(40, slot) for slot in (0, 2, 5)}
    alone = {
        slot: [step(backend, StepRow(slot, at, [token]))[0] for at, token in enumerate(text)]
        for slot, text in texts.items()
    }
    done = dict.fromkeys(texts, 0)
    for widths in ({0: 8}, {0: 1, 2: 12}, {0: 1, 2: 1, 5: 5}, {2: 1, 5: 7}, {5: 9}, {0: 1, 5: 1}):
        rows = [
            StepRow(slot, done[slot], texts[slot][done[slot] : done[slot] + width])
            for slot, width in widths.items()
        ]
        for row, logits in zip(rows, step(backend, *rows), strict=True):
            done[row.slot] += len(row.tokens)
            np.testing.assert_allclose(logits, alone[row.slot][done[row.slot] - 1], atol=CLOSE)


def test_a_slot_that_is_used_again_forgets_who_was_there(backend: OrtBackend) -> None:
    prompt = tokens(10)
    [fresh] = step(backend, StepRow(3, 0, prompt))
    step(backend, StepRow(4, 0, tokens(16, seed=9)))
    [reused] = step(backend, StepRow(4, 0, prompt))
    np.testing.assert_allclose(reused, fresh, atol=CLOSE)


def test_the_last_token_of_a_full_context_fits_beside_the_widest_chunk(backend: OrtBackend) -> None:
    text = tokens(SHAPE.context)
    for start in range(0, SHAPE.context - 1, 11):
        step(backend, StepRow(0, start, text[start : min(start + 11, SHAPE.context - 1)]))
    last = StepRow(0, SHAPE.context - 1, text[-1:])
    [alone] = step(backend, last)
    [beside, _] = step(backend, last, StepRow(1, 0, tokens(SHAPE.chunk, seed=1)))
    np.testing.assert_allclose(beside, alone, atol=CLOSE)


def test_a_step_that_onnxruntime_refuses_is_a_backend_error(backend: OrtBackend) -> None:
    with pytest.raises(BackendError, match="onnxruntime failed"):
        step(backend, StepRow(0, 0, [10**6]))


def test_a_backend_that_is_not_loaded_does_not_step(artifact: Path) -> None:
    with pytest.raises(BackendError, match="not loaded"):
        step(new_backend(artifact), StepRow(0, 0, [5]))


def test_a_file_that_is_no_graph_cannot_be_loaded(artifact: Path, tmp_path: Path) -> None:
    layout: GraphLayout = load_manifest(artifact).graph.layout
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match=r"could not load model\.onnx"):
        OrtBackend(tmp_path / "model.onnx", layout, SHAPE, threads=1).load()


@pytest.mark.parametrize("context", [513, 10_000])
def test_a_context_that_the_graph_does_not_hold_is_refused(artifact: Path, context: int) -> None:
    with pytest.raises(BackendError, match="the graph holds 512 tokens"):
        new_backend(artifact, CacheShape(slots=1, context=context, chunk=1))
