"""Writes container images without a daemon: an OCI image layout in one tar file.

An image is tar and JSON. Equal files give equal bytes (times and owners are fixed), hence an equal
digest.
"""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = "io.containerd.image.name"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in an image. ``files`` and ``links`` map a path inside to a file here or a target.

    Every file is world-readable and executable. ``empty`` are folders that anyone may write.
    """

    entrypoint: tuple[str, ...]
    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blob:
    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


def write(target: Path, reference: str, contents: Contents, architecture: str) -> None:
    """Writes ``target`` (a tar file): one image of one layer under the name ``reference``.

    ``architecture`` is Go's name of it (amd64, arm64).
    """
    layer = _Blob(_LAYER, _layer(contents))
    config = _Blob(_CONFIG, _json(_config(contents, layer.digest, architecture)))
    manifest = _Blob(_MANIFEST, _json(_manifest(config, layer)))
    draft = target.with_suffix(".draft")
    with tarfile.open(draft, "w") as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _json(_index(manifest, reference)))
        for blob in (layer, config, manifest):
            _add(archive, f"blobs/{blob.digest.replace(':', '/')}", blob.body)
    draft.rename(target)


def references(archive: Path) -> set[str]:
    """The image names in a docker-archive or OCI tar file; empty when it names none."""
    with tarfile.open(archive) as opened:
        names = set(opened.getnames())
        if "manifest.json" in names:
            entries = _read(opened, "manifest.json")
            return {tag for entry in entries for tag in entry.get("RepoTags") or []}
        if "index.json" not in names:
            return set()
        entries = _read(opened, "index.json")["manifests"]
        found = {entry.get("annotations", {}).get(_NAME) for entry in entries}
        return {name for name in found if name}


def _read(archive: tarfile.TarFile, name: str) -> Any:
    member = archive.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return json.load(member)


def _config(contents: Contents, diff_id: str, architecture: str) -> dict[str, object]:
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": list(contents.entrypoint), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


def _manifest(config: _Blob, layer: _Blob) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": config.descriptor,
        "layers": [layer.descriptor],
    }


def _index(manifest: _Blob, reference: str) -> dict[str, object]:
    named = {**manifest.descriptor, "annotations": {_NAME: reference}}
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}


def _layer(contents: Contents) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _parents(contents):
            archive.addfile(_entry(path, tarfile.DIRTYPE, 0o755))
        for path in contents.empty:
            archive.addfile(_entry(path, tarfile.DIRTYPE, 0o1777))
        for path, source in sorted(contents.files.items()):
            _add(archive, path, source.read_bytes(), mode=0o755)
        for path, link_target in sorted(contents.links.items()):
            link = _entry(path, tarfile.SYMTYPE, 0o777)
            link.linkname = link_target
            archive.addfile(link)
    return buffer.getvalue()


def _parents(contents: Contents) -> list[str]:
    """Every folder above a file or link, top first."""
    paths = [*contents.files, *contents.links]
    return sorted({str(p) for path in paths for p in Path(path).parents if str(p) != "."})


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = kind, mode
    return entry


def _add(archive: tarfile.TarFile, path: str, body: bytes, mode: int = 0o644) -> None:
    entry = _entry(path, tarfile.REGTYPE, mode)
    entry.size = len(body)
    archive.addfile(entry, io.BytesIO(body))


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
