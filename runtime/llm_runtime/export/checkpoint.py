"""The weights of a checkpoint folder: which tensors there are, and their values as float32.

Reads ``model.safetensors`` or the shards of ``model.safetensors.index.json`` in chunks, so memory
does not grow with the model. bfloat16 and float16 widen to float32 without loss.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.safetensors_header import StoredTensor, read_header
from llm_runtime.model.containment import plain_name

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
CHUNK_BYTES = 16 << 20
_READABLE = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_INDEX_LIMIT = 64 << 20

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
    if (directory / INDEX_FILE).is_file():
        return _open_shards(directory)
    if (directory / SINGLE_FILE).is_file():
        return Checkpoint(read_header(directory / SINGLE_FILE))
    raise _no_weights(directory)


def _open_shards(directory: Path) -> Checkpoint:
    tensors: dict[str, StoredTensor] = {}
    weight_map = _weight_map(directory / INDEX_FILE)
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


def _weight_map(path: Path) -> dict[str, str]:
    if path.stat().st_size > _INDEX_LIMIT:
        raise _bad_index(f"is larger than {_INDEX_LIMIT} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _bad_index("is not JSON") from error
    match document:
        case {"weight_map": dict(weight_map)} if all(
            isinstance(shard, str) for shard in weight_map.values()
        ):
            return weight_map
    raise _bad_index("has no weight_map of names to files")


def _bad_index(what: str) -> ModelError:
    return ModelError(Reason.EXPORT_FAILED, f"{INDEX_FILE} {what}; download the model again")


def _no_weights(directory: Path) -> ModelError:
    names = sorted(path.name for path in directory.rglob("*") if path.is_file())
    if any(name.endswith(".onnx") for name in names):
        return ModelError(
            Reason.PRE_EXPORTED_UNSUPPORTED,
            "the source holds ONNX files but no safetensors; name the repository of the original"
            " checkpoint (with model.safetensors), the operator exports it itself",
        )
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt", ".gguf")) for name in names):
        return ModelError(
            Reason.FILE_NOT_FOUND,
            "the source holds pickle or GGUF weights but no model.safetensors; convert it to"
            " safetensors or name a revision that has them (pickle is never loaded)",
        )
    return ModelError(
        Reason.FILE_NOT_FOUND,
        f"the source holds neither {SINGLE_FILE} nor {INDEX_FILE}; name a repository or folder"
        " with the model's weights at its root",
    )


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
