"""How much memory an export will need, from shapes alone."""

from llm_runtime.export.checkpoint import CHUNK_BYTES
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.layout import CAPACITY_MARGIN

# An interpreter with onnx and numpy, or with onnxruntime, before any model.
_INTERPRETER = 160 << 20
# A chunk is held as read, widened and as bytes.
_CHUNK_COPIES = 4
# float32 steps, float64 angles and two results while the rotary tables are made.
_ROTARY_COPIES = 8


def needed_memory(spec: DecoderSpec, weight_bytes: int) -> int:
    """Bytes for the hungrier of writing (chunks) and verifying (one session with all weights)."""
    positions = spec.max_context + CAPACITY_MARGIN
    rotary = positions * spec.head_dim // 2 * 4
    writing = CHUNK_BYTES * _CHUNK_COPIES + rotary * _ROTARY_COPIES
    return _INTERPRETER + max(writing, weight_bytes)
