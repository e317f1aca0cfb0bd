"""Artifacts in a registry: pack and push, ask whether one exists, fetch one by its digest."""

import functools
from dataclasses import dataclass
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import MANIFEST_FILE, Manifest, parse_manifest
from llm_runtime.model.download import Target, download_layers, show_manifest
from llm_runtime.model.image import Descriptor, Layer, compose, digest_of, read_layers
from llm_runtime.model.progress import Progress, Step, Unwatched
from llm_runtime.model.reference import Reference
from llm_runtime.model.registry import RegistryOptions, Repository
from llm_runtime.model.tar_layer import LayerReader, TarLayer, layer_digest, unpack
from llm_runtime.model.verify import verify_artifact

_MAXIMUM_MANIFEST_LAYER = 2 << 20


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """An artifact in a registry: its image by digest, and the bytes of its files."""

    image: str
    digest: str
    size_bytes: int
    manifest: Manifest


def push(
    directory: Path, target: Reference, options: RegistryOptions, progress: Progress | None = None
) -> StoredArtifact:
    """Verifies an artifact folder and stores it under ``target.tag``.

    Blobs that are there already are not sent again. The tag is written last: until then nobody
    sees the artifact, and afterwards all of it. Raises ModelError.
    """
    progress = progress or Unwatched()
    if target.tag is None:
        raise ModelError(Reason.FILE_NOT_FOUND, f"{target} has no tag; write {target.name}:TAG")
    manifest = verify_artifact(directory)
    layers = _pack(directory, manifest)
    image = compose(layers)
    repository = Repository(target, options)
    progress.begin(Step.PUSH, sum(layer.tar.size for layer in layers))
    for layer in layers:
        if not repository.has_blob(layer.digest):
            repository.upload(layer.digest, functools.partial(LayerReader, directory, layer.tar))
        progress.advance(layer.tar.size)
    if not repository.has_blob(image.config_digest):
        repository.upload(image.config_digest, lambda: image.config)
    repository.put_manifest(target.tag, image.manifest)
    return _stored(target, image.digest, manifest)


def find(target: Reference, options: RegistryOptions) -> StoredArtifact | None:
    """The artifact that ``target``'s digest or tag names, None when it or a part of it is missing.

    Reads the image's manifest and manifest.json, and asks for each layer. Raises ModelError.
    """
    repository = Repository(target, options)
    digest = target.digest or repository.digest_of_tag(target.tag or "latest")
    if digest is None:
        return None
    layers, _, manifest = _read_image(repository, digest)
    if not all(repository.has_blob(layer.digest) for layer in layers.values()):
        return None
    return _stored(target, digest, manifest)


def fetch(
    source: Reference,
    destination: Path,
    options: RegistryOptions,
    progress: Progress | None = None,
) -> StoredArtifact:
    """Fetches an artifact by digest into ``destination`` (made when absent).

    Layers arrive side by side; what an earlier run left unfinished is continued. A file gets its
    name only when size and digest are right, manifest.json the last. Raises ModelError.
    """
    if source.digest is None:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"{source} names no digest; write {source.name}@sha256:<64 hex digits>",
        )
    repository = Repository(source, options)
    layers, content, manifest = _read_image(repository, source.digest)
    targets = [
        Target(file, layers[file.path].digest)
        for file in sorted(manifest.files, key=lambda file: -file.size)
    ]
    progress = progress or Unwatched()
    progress.begin(Step.FETCH, manifest.size_bytes)
    download_layers(repository, targets, destination, progress)
    show_manifest(destination, content)
    return _stored(source, source.digest, manifest)


def _pack(directory: Path, manifest: Manifest) -> list[Layer]:
    sizes = {file.path: file.size for file in manifest.files}
    sizes[MANIFEST_FILE] = (directory / MANIFEST_FILE).stat().st_size
    tars = [TarLayer(name, size) for name, size in sorted(sizes.items())]
    return [Layer(layer_digest(directory, tar), tar) for tar in tars]


def _read_image(
    repository: Repository, digest: str
) -> tuple[dict[str, Descriptor], bytes, Manifest]:
    """Layers by file name, manifest.json's bytes, and what they say; all of it checked."""
    layers = read_layers(repository.manifest(digest))
    content = _read_manifest_layer(repository, layers)
    manifest = parse_manifest(content)
    _check_layers(layers, manifest)
    return layers, content, manifest


def _read_manifest_layer(repository: Repository, layers: dict[str, Descriptor]) -> bytes:
    descriptor = layers.get(MANIFEST_FILE)
    if descriptor is None:
        raise _mixed(f"it has no {MANIFEST_FILE}")
    if descriptor.size > _MAXIMUM_MANIFEST_LAYER:
        raise _mixed(f"its {MANIFEST_FILE} is larger than {_MAXIMUM_MANIFEST_LAYER} bytes")
    with repository.blob(descriptor.digest) as stream:
        archive = stream.read(descriptor.size + 1)
    if digest_of(archive) != descriptor.digest:
        raise _mixed(f"its {MANIFEST_FILE} arrived with another digest")
    content = unpack(MANIFEST_FILE, archive)
    if content is None:
        raise _mixed(f"its layer {MANIFEST_FILE} is no archive of ours")
    return content


def _check_layers(layers: dict[str, Descriptor], manifest: Manifest) -> None:
    wanted = {file.path: TarLayer(file.path, file.size).size for file in manifest.files}
    given = {name: layer.size for name, layer in layers.items() if name != MANIFEST_FILE}
    if wanted != given:
        odd = sorted(wanted.items() ^ given.items())[0][0]
        raise _mixed(f"its manifest.json and its layers disagree about {odd}")


def _stored(target: Reference, digest: str, manifest: Manifest) -> StoredArtifact:
    return StoredArtifact(f"{target.name}@{digest}", digest, manifest.size_bytes, manifest)


def _mixed(what: str) -> ModelError:
    return ModelError(
        Reason.CHECKSUM_MISMATCH,
        f"the image is no model of ours: {what}; export the model again",
    )
