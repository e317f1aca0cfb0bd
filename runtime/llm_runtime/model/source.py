"""Where weights come from: the address in a spec, understood and checked, before any I/O.

hf://[org/]name@revision       a Hugging Face repository
pvc:///source/folder           a mounted folder
https://host/path#sha256=hex   an archive (.tar, .tar.gz, .tgz) or an index of files (.json)
oci://host/repository@sha256:  an artifact that was exported before
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.reference import Reference, parse_reference

_REPOSITORY = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,255}", re.ASCII)
# What moves a path when it is decoded: ".", "/" and its end.
_MOVING = re.compile(r"%(?:2e|2f|00)", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAXIMUM_LENGTH = 2048
_FORMS = "hf://[org/]name@revision, pvc:///folder, https://…#sha256=<hex> or oci://…@sha256:<hex>"


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of a Hugging Face hub, and the branch, tag or commit that was asked for."""

    repository: str
    revision: str


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """A folder of a mounted volume."""

    folder: Path


@dataclass(frozen=True, slots=True)
class HttpSource:
    """A file on a web server, and its sha256 in hex."""

    url: str
    sha256: str

    @property
    def is_index(self) -> bool:
        """Whether it lists the files, instead of holding them."""
        return PurePosixPath(urlsplit(self.url).path).suffix == ".json"


@dataclass(frozen=True, slots=True)
class ImageSource:
    """An artifact in a registry, by digest."""

    reference: Reference


Source = HubSource | VolumeSource | HttpSource | ImageSource


@dataclass(frozen=True, slots=True)
class Pinned:
    """A source that cannot change any more.

    ``uri`` names exactly these weights, ``revision`` is the commit or digest in it, ``identity``
    goes into the artifact's key.
    """

    uri: str
    revision: str
    identity: str


def parse_source(uri: str) -> Source:
    """Understands a source's address. Raises ModelError(FileNotFound) that shows the right form."""
    if len(uri) > _MAXIMUM_LENGTH:
        raise _invalid(f"the source has more than {_MAXIMUM_LENGTH} characters; shorten it")
    scheme, separator, rest = uri.partition("://")
    match scheme if separator else "":
        case "hf":
            return _parse_hub(rest)
        case "pvc":
            return _parse_volume(rest)
        case "http" | "https":
            return _parse_http(uri)
        case "oci":
            return _parse_image(uri)
    raise _invalid(f"the source {_safe(uri)!r} has no known scheme; write {_FORMS}")


def _parse_hub(rest: str) -> HubSource:
    repository, _, revision = rest.partition("@")
    revision = revision or "main"
    if not _REPOSITORY.fullmatch(repository) or not _REVISION.fullmatch(revision):
        raise _invalid(f"the source hf://{rest[:100]} is not hf://[org/]name@revision; write it so")
    return HubSource(repository, revision)


def _parse_volume(rest: str) -> VolumeSource:
    path = unquote(rest)
    moves = ".." in path.split("/") or "\0" in path or _MOVING.search(rest)
    if not path.startswith("/") or moves:
        raise _invalid(
            f"the source pvc://{rest[:100]} is no absolute path without '..', %2e, %2f and %00;"
            " write pvc:///folder"
        )
    return VolumeSource(Path(path))


def _parse_http(uri: str) -> HttpSource:
    url, _, fragment = uri.partition("#")
    digest = fragment.removeprefix("sha256=")
    if not fragment.startswith("sha256=") or not _SHA256.fullmatch(digest):
        raise _invalid(
            f"the source {_safe(url)!r} has no digest; add #sha256=<64 hex digits> of the file"
        )
    parts = _split(url)
    if (
        parts is None
        or not parts.hostname
        or parts.username is not None
        or parts.password is not None
    ):
        raise _invalid(
            "the source's URL needs a host and no user or password in it; put credentials into"
            " the Secret that credentials.secretRef names"
        )
    return HttpSource(url, digest)


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no address
        return None


def _parse_image(uri: str) -> ImageSource:
    reference = parse_reference(uri)
    if reference.digest is None:
        raise _invalid(
            f"the source oci://{reference} has no digest; write"
            f" oci://{reference.name}@sha256:<64 hex digits>"
        )
    return ImageSource(reference)


def _safe(uri: str) -> str:
    """The address without a password that somebody may have put in it."""
    return re.sub(r"//[^/@]*@", "//…@", uri)[:100]


def _invalid(message: str) -> ModelError:
    return ModelError(Reason.FILE_NOT_FOUND, message)
