"""An exported model in the registry, as the export Job reported it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REPOSITORY = "llm-operator/artifacts"
"""Path of all artifacts in a registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One image; its digest is the model's identity."""

    repository: str
    """Path in the registry, without host: reads and writes may go to different hosts."""
    digest: str
    """sha256:<hex> of the image manifest."""
    size_bytes: int
    resolved_revision: str
    """What the source's revision resolved to when it was fetched; empty for unversioned sources."""
    precision: str
    family: str

    def reference(self, registry: str) -> str:
        """The image by digest, in that registry (host:port)."""
        return f"{registry}/{self.repository}@{self.digest}"

    def to_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "digest": self.digest,
            "sizeBytes": self.size_bytes,
            "resolvedRevision": self.resolved_revision,
            "precision": self.precision,
            "family": self.family,
        }


def artifact_from_json(data: Mapping[str, Any]) -> Artifact:
    """Inverse of `Artifact.to_json`."""
    return Artifact(
        repository=data["repository"],
        digest=data["digest"],
        size_bytes=int(data["sizeBytes"]),
        resolved_revision=data["resolvedRevision"],
        precision=data["precision"],
        family=data["family"],
    )


def artifact_from_result(result: Mapping[str, Any]) -> Artifact:
    """The artifact of a successful `push` (its termination message).

    Raises ValueError where the result lacks what identifies an artifact.
    """
    image, digest = str(result.get("image", "")), str(result.get("digest", ""))
    path = image.partition("/")[2].partition("@")[0]
    if not path or not digest.startswith("sha256:"):
        raise ValueError("the export's result names no image and digest")
    return Artifact(
        repository=path,
        digest=digest,
        size_bytes=int(result.get("sizeBytes", 0)),
        resolved_revision=str(result.get("resolvedRevision") or ""),
        precision=str(result.get("precision") or ""),
        family=str(result.get("family") or ""),
    )
