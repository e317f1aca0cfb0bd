"""What lies in model.data: each weight's name, shape and the place of its float32 values.

A plan is made first, from shapes alone, so that size and memory are known before anything is
written; then the values stream through in the plan's order, which makes the bytes deterministic.
"""

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from llm_runtime.export.checkpoint import Chunk
from llm_runtime.export.layout import DATA_FILE
from llm_runtime.export.manifest import ManifestFile

# Pages are mapped, so tensors start on their boundaries.
_ALIGNMENT = 4096
# Shards of this size are fetched side by side; a larger tensor gets a shard of its own.
SHARD_BYTES = 1 << 30

Chunks = Callable[[], Iterable[Chunk]]
Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Weight:
    """A named float32 tensor; ``chunks`` yields its values flat and in order."""

    name: str
    shape: tuple[int, ...]
    chunks: Chunks

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return 4 * math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Placement:
    """A weight's place: file name, offset and size in bytes."""

    weight: Weight
    file: str
    offset: int


def place(weights: Iterable[Weight], shard_bytes: int = SHARD_BYTES) -> list[Placement]:
    """Puts weights one after the other, each aligned, into shards of about ``shard_bytes``."""
    placements: list[Placement] = []
    shard, end = 0, 0
    for weight in weights:
        offset = -(-end // _ALIGNMENT) * _ALIGNMENT
        if end and offset + weight.size > shard_bytes:
            shard, offset = shard + 1, 0
        placements.append(Placement(weight, _shard_name(shard), offset))
        end = offset + weight.size
    return placements


def total_bytes(placements: Iterable[Placement]) -> int:
    """Bytes of all shards together, without the gaps between tensors."""
    return sum(placement.weight.size for placement in placements)


def _shard_name(shard: int) -> str:
    return DATA_FILE if shard == 0 else f"{DATA_FILE}.{shard:03d}"


def write_data(directory: Path, placements: list[Placement], report: Report) -> list[ManifestFile]:
    """Writes the shards and returns their sizes and digests; ``report`` gets bytes as they go.

    Raises ModelError for broken weights and OSError for a full disk.
    """
    names = list(dict.fromkeys(placement.file for placement in placements))
    return [
        _write_shard(directory / name, [each for each in placements if each.file == name], report)
        for name in names
    ]


def _write_shard(path: Path, placements: list[Placement], report: Report) -> ManifestFile:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for content in _contents(placements):
            file.write(content)
            digest.update(content)
            size += len(content)
            report(len(content))
        sync(file)
    return ManifestFile(path=path.name, size=size, sha256=digest.hexdigest())


def _contents(placements: list[Placement]) -> Iterator[bytes]:
    end = 0
    for placement in placements:
        yield bytes(placement.offset - end)
        for chunk in placement.weight.chunks():
            yield chunk.tobytes()
        end = placement.offset + placement.weight.size


def sync(file: BinaryIO) -> None:
    """Hands the file's content to the disk, so that a rename never shows less than was written."""
    file.flush()
    os.fsync(file.fileno())
