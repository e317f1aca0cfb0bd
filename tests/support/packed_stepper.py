"""The plainest user of an artifact: one onnxruntime session, driven by hand. Nothing of the engine.

Tests of the exporter step with it, so that a mistake of the engine cannot hide one of the graph.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from llm_runtime.export import layout
from llm_runtime.export.manifest import load_manifest

Logits = NDArray[np.float32]


class PackedStepper:
    """A session with ``slots`` caches of ``capacity`` tokens, and each slot's length so far."""

    def __init__(self, directory: Path, slots: int, capacity: int) -> None:
        manifest = load_manifest(directory)
        self.layout = manifest.graph.layout
        self.lengths = np.zeros(slots, np.int64)
        self._capacity = capacity
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            directory / manifest.graph.file, options, providers=["CPUExecutionProvider"]
        )
        shape = (slots, self.layout.kv_heads, capacity, self.layout.head_dim)
        self._caches = [
            onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
            for _ in range(2 * self.layout.layers)
        ]
        self._binding = self._bind()

    def step(self, work: Mapping[int, Sequence[int]]) -> dict[int, Logits]:
        """New tokens by slot -> logits [new tokens, vocabulary] by slot."""
        inputs = self._inputs(work)
        for name, value in inputs.items():
            self._binding.bind_cpu_input(name, value)
        self._binding.bind_output(layout.LOGITS)
        self._session.run_with_iobinding(self._binding)
        rows = self._binding.get_outputs()[-1].numpy()
        result, row = {}, 0
        for slot, tokens in work.items():
            self.lengths[slot] += len(tokens)
            result[slot] = rows[row : row + len(tokens)]
            row += len(tokens)
        return result

    def greedy(self, prompts: Sequence[Sequence[int]], count: int) -> list[list[int]]:
        """``count`` most likely tokens after each prompt, all of them side by side."""
        work: dict[int, Sequence[int]] = dict(enumerate(prompts))
        answers: list[list[int]] = [[] for _ in prompts]
        for _ in range(count):
            for slot, logits in self.step(work).items():
                answers[slot].append(int(logits[-1].argmax()))
            work = {slot: answer[-1:] for slot, answer in enumerate(answers)}
        return answers

    def _bind(self) -> Any:
        binding = self._session.io_binding()
        for layer in range(self.layout.layers):
            key, value = self._caches[2 * layer], self._caches[2 * layer + 1]
            binding.bind_ortvalue_input(layout.past_key(layer), key)
            binding.bind_ortvalue_input(layout.past_value(layer), value)
            binding.bind_ortvalue_output(layout.present_key(layer), key)
            binding.bind_ortvalue_output(layout.present_value(layer), value)
        return binding

    def _inputs(self, work: Mapping[int, Sequence[int]]) -> dict[str, NDArray[Any]]:
        slots = len(self.lengths)
        width = max(len(tokens) for tokens in work.values())
        query_index = np.zeros((slots, width), np.int64)
        query_lengths = np.zeros(slots, np.int32)
        ids: list[int] = []
        places: list[int] = []
        for slot, tokens in work.items():
            query_index[slot, : len(tokens)] = np.arange(len(ids), len(ids) + len(tokens))
            places += range(slot * width, slot * width + len(tokens))
            ids += tokens
            query_lengths[slot] = len(tokens)
        return {
            layout.IDS: np.array(ids, np.int64),
            layout.QUERY_INDEX: query_index,
            layout.OUTPUT_INDEX: np.array(places, np.int64),
            layout.LOGITS_INDEX: np.arange(len(ids), dtype=np.int64),
            layout.LENGTHS: np.maximum(self.lengths + query_lengths - 1, 0).astype(np.int32),
            layout.QUERY_LENGTHS: query_lengths,
            layout.CAPACITY: np.array(self._capacity, np.int32),
        }
