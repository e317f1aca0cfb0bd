"""The weights of a checkpoint folder: which tensors there are, and their values as float32.

Reads ``model.safetensors`` or the shards of ``model.safetensors.index.json`` in chunks, so memory
does not grow with the model. bfloat16 and float16 widen to float32 without loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.safetensors_header import StoredTensor, read_header
from llm_runtime.model.containment import plain_name
from llm_runtime.model.selection import (
    INDEX_FILE,
    SINGLE_FILE,
    read_weight_map,
    require_weights,
)

CHUNK_BYTES = 16 << 20
_READABLE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}

Chunk = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors of one checkpoint by name."""

    tensors: dict[str, StoredTensor]

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape; ModelError(ExportFailed) when the checkpoint lacks it."""
        return self._find(name).shape

    def chunks(self, name: str) -> Iterator[Chunk]:
        """The tensor's values in order, flat float32 arrays of bounded size.

        Raises ModelError: UnsupportedArchitecture for quantised types, ExportFailed for values
        that are not finite or a file that ends early.
        """
        tensor = self._find(name)
        if tensor.dtype not in _READABLE:
            raise ModelError(
                Reason.UNSUPPORTED_ARCHITECTURE,
                f"tensor {name} has type {tensor.dtype}; use the checkpoint's unquantised version"
                " (F32, F16 or BF16)",
            )
        for raw in _raw_chunks(tensor, name):
            values = _widen(raw, tensor.dtype)
            if not np.isfinite(values).all():
                raise ModelError(
                    Reason.EXPORT_FAILED,
                    f"tensor {name} holds values that are not finite; the checkpoint is broken,"
                    " choose another revision",
                )
            yield values

    def _find(self, name: str) -> StoredTensor:
        try:
            return self.tensors[name]
        except KeyError:
            raise ModelError(
                Reason.EXPORT_FAILED,
                f"the checkpoint lacks the tensor {name} that its config.json calls for; choose a"
                " complete revision",
            ) from None


def open_checkpoint(directory: Path) -> Checkpoint:
    """Reads the headers of a folder's safetensors files.

    Raises ModelError: FileNotFound, PreExportedUnsupported for folders that hold ONNX files only,
    ExportFailed for broken files.
    """
    require_weights([path.name for path in directory.rglob("*") if path.is_file()])
    if (directory / INDEX_FILE).is_file():
        return _open_shards(directory)
    return Checkpoint(read_header(directory / SINGLE_FILE))


def _open_shards(directory: Path) -> Checkpoint:
    tensors: dict[str, StoredTensor] = {}
    weight_map = read_weight_map(directory / INDEX_FILE)
    for shard in sorted(set(weight_map.values())):
        tensors.update(read_header(directory / plain_name(shard)))
    for name, shard in weight_map.items():
        if name not in tensors or tensors[name].file.name != shard:
            raise ModelError(
                Reason.EXPORT_FAILED,
                f"{INDEX_FILE} says that {shard} holds {name[:100]}, which it does not; download"
                " the model again",
            )
    return Checkpoint(tensors)


def _raw_chunks(tensor: StoredTensor, name: str) -> Iterator[bytes]:
    remaining = tensor.size
    with tensor.file.open("rb") as file:
        file.seek(tensor.offset)
        while remaining:
            raw = file.read(min(CHUNK_BYTES, remaining))
            if not raw:
                raise ModelError(
                    Reason.EXPORT_FAILED,
                    f"{tensor.file.name} ends inside tensor {name}; download the model again",
                )
            remaining -= len(raw)
            yield raw


def _widen(raw: bytes, dtype: str) -> Chunk:
    values = np.frombuffer(raw, dtype=_READABLE[dtype])
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)
