"""An artifact as an OCI image: its config and manifest documents, written and read back. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.containment import plain_name
from llm_runtime.model.tar_layer import TarLayer

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_TITLE = "org.opencontainers.image.title"
_MAXIMUM_LAYERS = 4096


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of the image: the digest of its archive, and the archive's size through ``tar``."""

    digest: str
    tar: TarLayer


@dataclass(frozen=True, slots=True)
class Image:
    """The two documents that make layers an image."""

    config: bytes
    manifest: bytes

    @property
    def config_digest(self) -> str:
        """``sha256:<hex>`` of the config."""
        return digest_of(self.config)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the manifest: the image's identity."""
        return digest_of(self.manifest)


def digest_of(content: bytes) -> str:
    """``sha256:<hex>`` of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def compose(layers: Sequence[Layer]) -> Image:
    """The image of some layers. Equal layers give equal bytes."""
    config = _canonical(
        {
            # Kubelets pull only images of their own platform.
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            # Archives are not compressed, so a layer's digest is its content's too.
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": _CONFIG_TYPE,
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": [_descriptor(layer) for layer in layers],
    }
    return Image(config, _canonical(manifest))


def _descriptor(layer: Layer) -> dict[str, Any]:
    return {
        "mediaType": _LAYER_TYPE,
        "digest": layer.digest,
        "size": layer.tar.size,
        "annotations": {_TITLE: layer.tar.name},
    }


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What an image's manifest says of a layer: file name, digest and size of the archive."""

    name: str
    digest: str
    size: int


def read_layers(manifest: bytes) -> dict[str, Descriptor]:
    """The layers of an image of ours by file name.

    Raises ModelError(ChecksumMismatch) for any other image.
    """
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise _not_ours("its manifest is not JSON") from error
    match document:
        case {"schemaVersion": 2, "layers": list(layers)} if len(layers) <= _MAXIMUM_LAYERS:
            descriptors = [_read_layer(layer) for layer in layers]
        case _:
            raise _not_ours("its manifest is not that of an OCI image")
    found = {descriptor.name: descriptor for descriptor in descriptors}
    if len(found) != len(descriptors):
        raise _not_ours("two layers hold the same file")
    return found


def _read_layer(layer: object) -> Descriptor:
    match layer:
        case {
            "mediaType": str(kind),
            "digest": str(digest),
            "size": int(size),
            "annotations": {"org.opencontainers.image.title": str(name)},
        } if kind == _LAYER_TYPE and _is_digest(digest) and size >= 0:
            return Descriptor(plain_name(name), digest, size)
    raise _not_ours("a layer is not an uncompressed tar with a title")


def _is_digest(text: str) -> bool:
    algorithm, _, digits = text.partition(":")
    return algorithm == "sha256" and len(digits) == 64 and set(digits) <= set("0123456789abcdef")


def _not_ours(what: str) -> ModelError:
    return ModelError(
        Reason.CHECKSUM_MISMATCH,
        f"the image is no model of ours: {what}; name one that `llm-runtime push` stored",
    )
