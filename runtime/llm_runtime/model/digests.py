"""sha256 of files and folders, streaming."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 4 << 20


def stream_sha256(file: BinaryIO) -> tuple[str, int]:
    """Hex digest and size in bytes of what is left to read of ``file``."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return stream_sha256(file)[0]


def combined_sha256(digests: Iterable[tuple[str, str]]) -> str:
    """Hex digest over (name, hex digest) pairs; their order does not matter."""
    lines = (f"{digest}  {name}\n" for name, digest in digests)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def folder_sha256(folder: Path) -> str:
    """Hex digest over the names and contents of the files at a folder's root."""
    paths = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return combined_sha256((path.name, file_sha256(path)) for path in paths)
