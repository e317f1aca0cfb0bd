"""The header of a safetensors file, checked before a byte of its tensors is read.

The format (huggingface.co/docs/safetensors): eight bytes little-endian length N, N bytes of JSON
mapping a tensor's name to its type, shape and half-open byte range in the rest of the file. A file
from the internet may lie about any of these, so ranges must be contiguous, fit their shape and end
where the file ends.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from llm_runtime.errors import ModelError, Reason

_LENGTH_BYTES = 8
_MAXIMUM_HEADER = 100_000_000
_ITEM_SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies: ``offset`` counts from the start of the file, sizes are bytes."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


def read_header(path: Path) -> dict[str, StoredTensor]:
    """All tensors of one file by name.

    Raises ModelError: FileNotFound, or ExportFailed when the header does not describe the file.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            entries, data_start = _read_entries(file, size)
            return _tensors(path, entries, data_start, size)
    except FileNotFoundError as error:
        raise ModelError(
            Reason.FILE_NOT_FOUND, f"{path.name} is missing; download the model again"
        ) from error
    except _BadHeaderError as error:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{path.name} is not a valid safetensors file ({error}); download it again or ask its"
            " publisher for an intact one",
        ) from error


class _BadHeaderError(Exception):
    pass


def _read_entries(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    prefix = file.read(_LENGTH_BYTES)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
        raise _BadHeaderError(f"its header claims {length} bytes, the file has {size}")
    if length > _MAXIMUM_HEADER:
        raise _BadHeaderError(f"its header of {length} bytes is over {_MAXIMUM_HEADER}")
    try:
        entries = json.loads(file.read(length), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise _BadHeaderError("its header is not JSON") from error
    if not isinstance(entries, dict):
        raise _BadHeaderError("its header is no JSON object")
    entries.pop("__metadata__", None)
    return entries, _LENGTH_BYTES + length


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name appears twice")
    return entries


def _tensors(
    path: Path, entries: dict[str, Any], data_start: int, size: int
) -> dict[str, StoredTensor]:
    found = {name: _tensor(path, name, entry, data_start) for name, entry in entries.items()}
    end = data_start
    for tensor in sorted(found.values(), key=lambda each: (each.offset, each.size)):
        if tensor.offset != end:
            raise _BadHeaderError("its tensors overlap or leave gaps")
        end = tensor.offset + tensor.size
    if end != size:
        raise _BadHeaderError(f"its tensors end at byte {end}, the file at {size}")
    return found


def _tensor(path: Path, name: str, entry: object, data_start: int) -> StoredTensor:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            pass
        case _:
            raise _BadHeaderError(f"tensor {name[:100]!r} is not described")
    if dtype not in _ITEM_SIZES:
        raise _BadHeaderError(f"tensor {name[:100]!r} has the unknown type {dtype[:20]!r}")
    if not all(type(each) is int and each >= 0 for each in shape):
        raise _BadHeaderError(f"tensor {name[:100]!r} has no valid shape")
    if begin < 0 or end - begin != math.prod(shape) * _ITEM_SIZES[dtype]:
        raise _BadHeaderError(f"tensor {name[:100]!r} does not fill its bytes")
    return StoredTensor(path, dtype, tuple(shape), data_start + begin, end - begin)
