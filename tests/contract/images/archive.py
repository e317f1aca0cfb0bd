"""Reads a docker-archive: the image's configuration and the files of all its layers."""

import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Contents:
    """An image: its configuration and its files, by path without a leading slash."""

    config: dict[str, Any]
    files: dict[str, tarfile.TarInfo] = field(repr=False)
    layers: tuple[str, ...]
    archive: Path

    def read(self, path: str) -> bytes:
        """Content of a file, from the last layer that holds it."""
        with tarfile.open(self.archive) as archive:
            for name in reversed(self.layers):
                with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                    if path in layer.getnames():
                        found = layer.extractfile(path)
                        return found.read() if found else b""
        raise LookupError(f"no {path} in {self.archive.name}")


def read(path: Path) -> Contents:
    """The image in ``path``."""
    with tarfile.open(path) as archive:
        manifest = json.loads(_content(archive, "manifest.json"))[0]
        config = json.loads(_content(archive, manifest["Config"]))
        files: dict[str, tarfile.TarInfo] = {}
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                files |= {entry.name.removeprefix("./"): entry for entry in layer}
    return Contents(config["config"], files, tuple(manifest["Layers"]), path)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        raise LookupError(f"{name} is not a file")
    return found.read()
