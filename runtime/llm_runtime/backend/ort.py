"""The packed graph on ONNX Runtime's CPU kernels. The only module that imports onnxruntime.

The caches live in numpy arrays that are bound once per range of slots, as input and as output, so a
step writes them in place and nothing is copied. The range of a step goes from its lowest to its
highest slot; idle slots between them cost nothing.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_runtime.backend.base import BackendError, CacheShape, StepInput, StepOutput, StepRow
from llm_runtime.export import layout as names
from llm_runtime.export.layout import GraphLayout

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, when the library is loaded
import onnxruntime as ort

# Threads spin this long for work before they sleep. The default burns ~43 ms of a core after every
# step; 50 us keeps the speed.
_SPIN_MICROSECONDS = "50"
_ERROR = 3


Indices = NDArray[np.int64] | NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Packed:
    """The small inputs of a step for slots `low` up to before `high`, as the exported layout names
    them.
    """

    low: int
    high: int
    arrays: dict[str, Indices]
    wanted: int


def pack(rows: Sequence[StepRow], capacity: int) -> Packed:
    """Lays the rows of a step out as the graph wants them. Pure.

    Args:
        rows: ordered by slot, at least one.
        capacity: rows of a slot's cache.
    """
    low, high = rows[0].slot, rows[-1].slot + 1
    width = max(len(row.tokens) for row in rows)
    query_index = np.zeros((high - low, width), np.int64)
    lengths = np.zeros(high - low, np.int32)
    query_lengths = np.zeros(high - low, np.int32)
    ids: list[int] = []
    output_index: list[int] = []
    wanted: list[int] = []
    for row in rows:
        line, count, first = row.slot - low, len(row.tokens), len(ids)
        query_index[line, :count] = range(first, first + count)
        output_index.extend(range(line * width, line * width + count))
        ids.extend(row.tokens)
        query_lengths[line] = count
        lengths[line] = row.start + count - 1
        if row.wants_logits:
            wanted.append(first + count - 1)
    arrays: dict[str, Indices] = {
        names.IDS: np.array(ids, np.int64),
        names.QUERY_INDEX: query_index,
        names.OUTPUT_INDEX: np.array(output_index, np.int64),
        names.LOGITS_INDEX: np.array(wanted, np.int64),
        names.LENGTHS: lengths,
        names.QUERY_LENGTHS: query_lengths,
        names.CAPACITY: np.array(capacity, np.int32),
    }
    return Packed(low, high, arrays, len(wanted))


class OrtBackend:
    """One session over an artifact's graph.

    Loading happens in `load`, so making one costs nothing.
    """

    def __init__(self, graph: Path, layout: GraphLayout, shape: CacheShape, threads: int) -> None:
        if shape.context > layout.max_context or shape.capacity > layout.max_capacity:
            raise BackendError(
                f"the graph holds {layout.max_context} tokens and {layout.max_capacity} cache rows,"
                f" {shape.context} and {shape.capacity} were asked for"
            )
        self._graph = graph
        self._layout = layout
        self._shape = shape
        self._threads = threads
        self._bindings: dict[tuple[int, int], ort.IOBinding] = {}
        self._caches: list[tuple[str, str, NDArray[np.float32]]] = []
        self._session: ort.InferenceSession | None = None

    def load(self) -> None:
        """Reads the graph with its weights and reserves the caches, whose memory is taken as it is
        used.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERROR
        options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_MICROSECONDS)
        try:
            self._session = ort.InferenceSession(
                str(self._graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise BackendError(f"onnxruntime could not load {self._graph.name}: {error}") from error
        size = (
            self._shape.slots,
            self._layout.kv_heads,
            self._shape.capacity,
            self._layout.head_dim,
        )
        for layer in range(self._layout.layers):
            for past, present in (
                (names.past_key(layer), names.present_key(layer)),
                (names.past_value(layer), names.present_value(layer)),
            ):
                self._caches.append((past, present, np.zeros(size, np.float32)))
        self._logits = np.empty((self._shape.slots, self._layout.vocab_size), np.float32)

    def step(self, step: StepInput) -> StepOutput:
        """Runs the graph once. Raises BackendError when it is not loaded or onnxruntime fails."""
        if self._session is None:
            raise BackendError("the model is not loaded")
        packed = pack(step.rows, self._shape.capacity)
        binding = self._binding(self._session, packed.low, packed.high)
        for name, array in packed.arrays.items():
            binding.bind_cpu_input(name, array)
        logits = self._logits[: packed.wanted]
        binding.bind_ortvalue_output(names.LOGITS, ort.OrtValue.ortvalue_from_numpy(logits))
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise BackendError(f"onnxruntime failed: {error}") from error
        return StepOutput(logits)

    def close(self) -> None:
        """Drops the session and the caches."""
        self._bindings.clear()
        self._caches.clear()
        self._session = None

    def _binding(self, session: ort.InferenceSession, low: int, high: int) -> ort.IOBinding:
        """The binding of a range of slots, made at its first use."""
        found = self._bindings.get((low, high))
        if found is None:
            found = self._bindings[low, high] = session.io_binding()
            for past, present, cache in self._caches:
                value = ort.OrtValue.ortvalue_from_numpy(cache[low:high])
                found.bind_ortvalue_input(past, value)
                found.bind_ortvalue_output(present, value)
        return found
