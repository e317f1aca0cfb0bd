"""manifest.json: what an artifact is, and every file of it with size and digest."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import GraphLayout, ManifestPart

FORMAT_VERSION: Literal[1] = 1
MANIFEST_FILE = "manifest.json"
_MAXIMUM_BYTES = 1 << 20
_PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"

PlainName = Annotated[str, StringConstraints(pattern=_PLAIN_NAME)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ManifestFile(ManifestPart):
    """One file of the artifact: a plain name at its root, its size in bytes and its sha256."""

    path: PlainName
    size: int = Field(ge=0)
    sha256: Sha256


class SourceRecord(ManifestPart):
    """Where the weights came from; ``revision`` is what the source was resolved to."""

    uri: str = Field(max_length=2048)
    revision: str = Field(max_length=256)


class GraphRecord(ManifestPart):
    """The graph's file, the files its weights lie in, and its layout."""

    file: PlainName
    data_files: tuple[PlainName, ...]
    layout: GraphLayout


class SpecialTokens(ManifestPart):
    """Token ids with a meaning; ``eos`` ends a generation."""

    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None


class Manifest(ManifestPart):
    """The whole of manifest.json."""

    format_version: Literal[1] = FORMAT_VERSION
    source: SourceRecord
    family: str = Field(max_length=64)
    task: Literal["text-generation"] = "text-generation"
    precision: Literal["fp32"] = "fp32"
    exporter_graph_version: int = Field(ge=1)
    minimum_onnxruntime: str = Field(max_length=32)
    opset: int = Field(ge=1)
    graph: GraphRecord
    tokens: SpecialTokens
    parameters: int = Field(ge=0)
    files: tuple[ManifestFile, ...] = Field(max_length=4096)

    @field_validator("files")
    @classmethod
    def _unique(cls, files: tuple[ManifestFile, ...]) -> tuple[ManifestFile, ...]:
        names = [file.path for file in files]
        if len(set(names)) != len(names) or MANIFEST_FILE in names:
            raise ValueError("a file is listed twice, or the manifest lists itself")
        return files

    @model_validator(mode="after")
    def _graph_is_listed(self) -> "Manifest":
        listed = {file.path for file in self.files}
        missing = {self.graph.file, *self.graph.data_files} - listed
        if missing:
            raise ValueError(f"the graph's files are not listed: {', '.join(sorted(missing))}")
        return self

    @property
    def size_bytes(self) -> int:
        """Bytes of all listed files together."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """The file's content: the same manifest gives the same bytes."""
        document = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def load_manifest(directory: Path) -> Manifest:
    """Reads ``directory/manifest.json``.

    Raises ModelError: FileNotFound when it is absent, ChecksumMismatch when it is not one of ours.
    """
    path = directory / MANIFEST_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_MAXIMUM_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"{path} does not exist; give a folder written by `llm-runtime export` or `fetch`",
        ) from error
    if len(content) > _MAXIMUM_BYTES:
        raise ModelError(
            Reason.CHECKSUM_MISMATCH, f"{path} is larger than {_MAXIMUM_BYTES} bytes; export again"
        )
    return parse_manifest(content)


def parse_manifest(content: bytes) -> Manifest:
    """Parses the content of manifest.json; ModelError(ChecksumMismatch) names the wrong field."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"manifest.json is not valid at {field}: {first['msg']}; export the model again with"
            " this version",
        ) from error
