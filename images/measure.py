"""How large an image is: on a node's disk, and on the way from a registry to it."""

import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of all layers: as files (tar), and compressed as registries keep them (gzip)."""

    unpacked: int
    compressed: int


class Measure:
    """Measures image archives; remembers the layers that it has seen, since images share them."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}

    def size(self, archive: Path) -> Size:
        """Size of the image in a docker-archive whose layers are not compressed."""
        unpacked, compressed = 0, 0
        with tarfile.open(archive) as tar:
            for name in layers(tar):
                unpacked += tar.getmember(name).size
                compressed += self._compressed(tar, name)
        return Size(unpacked, compressed)

    def _compressed(self, tar: tarfile.TarFile, name: str) -> int:
        if name not in self._known:
            content = tar.extractfile(name)
            if content is None:
                raise ValueError(f"{tar.name!s} names the layer {name}, which is not a file")
            self._known[name] = gzip_bytes(content)
            self._memory.write_text(json.dumps(self._known, indent=1, sort_keys=True))
        return self._known[name]


def layers(tar: tarfile.TarFile) -> Iterator[str]:
    """Names of the layers of the one image in a docker-archive; each is a digest of its content."""
    manifest = tar.extractfile("manifest.json")
    if manifest is None:
        raise ValueError(f"{tar.name!s} is not a docker-archive: it has no manifest.json")
    yield from json.load(manifest)[0]["Layers"]


def gzip_bytes(content: IO[bytes]) -> int:
    """Length of what gzip makes of ``content`` at its default level."""
    packer = zlib.compressobj(level=6, wbits=31)
    total = 0
    while block := content.read(_BLOCK):
        total += len(packer.compress(block))
    return total + len(packer.flush())
