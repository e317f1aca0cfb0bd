"""A file as a tar archive of its own: a header that follows from name and size, content, padding.

Nothing in it depends on the clock, the user or the file system, so equal files are equal layers,
and a layer is checked and unpacked while it streams, without a tar library's many extras.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_runtime.model.containment import open_regular

_BLOCK = 512
# An archive ends with two empty blocks.
_END = 2 * _BLOCK
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TarLayer:
    """The archive of one file: its plain name and its size in bytes."""

    name: str
    content_size: int

    @property
    def header(self) -> bytes:
        """The bytes before the content."""
        entry = tarfile.TarInfo(self.name)
        entry.size, entry.mode = self.content_size, 0o644
        return entry.tobuf(tarfile.GNU_FORMAT)

    @property
    def trailer(self) -> bytes:
        """The bytes after the content."""
        return bytes(-self.content_size % _BLOCK + _END)

    @property
    def size(self) -> int:
        """Bytes of the whole archive."""
        return len(self.header) + self.content_size + len(self.trailer)


def unpack(name: str, archive: bytes) -> bytes | None:
    """The content of a whole small layer; None when it is not one that we write for ``name``."""
    try:
        size = tarfile.TarInfo.frombuf(archive[:_BLOCK], "utf-8", "strict").size
    except (tarfile.HeaderError, UnicodeDecodeError):
        return None
    tar = TarLayer(name, size)
    content = archive[_BLOCK : _BLOCK + max(0, size)]
    return content if archive == tar.header + content + tar.trailer else None


def layer_digest(directory: Path, layer: TarLayer) -> str:
    """``sha256:<hex>`` of the layer of ``directory/layer.name``."""
    digest = hashlib.sha256()
    for chunk in _chunks(directory, layer):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _chunks(directory: Path, layer: TarLayer) -> Iterator[bytes]:
    yield layer.header
    with open_regular(directory, layer.name) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
    yield layer.trailer


class LayerReader(io.RawIOBase):
    """The layer of a file as a stream of known length, for an upload that holds one chunk."""

    def __init__(self, directory: Path, layer: TarLayer) -> None:
        self._chunks = _chunks(directory, layer)
        self._buffer = memoryview(b"")
        self._size = layer.size

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; fewer at the end of a chunk, none at the end."""
        while not self._buffer:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._buffer = memoryview(chunk)
        end = len(self._buffer) if size < 0 else size
        piece, self._buffer = self._buffer[:end], self._buffer[end:]
        return bytes(piece)
