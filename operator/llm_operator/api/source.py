"""Where a model comes from: one normalised uri for every way to write it."""

import re
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["hf", "pvc", "http", "https"]

DEFAULT_REVISION = "main"

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HF = re.compile(
    rf"hf://(?P<repo>(?:{_NAME}/)?{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?"
)
_PVC = re.compile(r"pvc://(?P<claim>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)(?:/(?P<path>[^?#\s]*))?")
_HTTP = re.compile(
    r"(?P<scheme>https?)://(?P<rest>[^/?#\s@]+(?:/[^#\s]*)?)#sha256=(?P<sha256>[0-9a-f]{64})"
)
_UNSUPPORTED = re.compile(r"(s3|oci)://")


@dataclass(frozen=True, slots=True)
class Source:
    """A model's source, normalised: equal sources have equal `uri`s."""

    scheme: Scheme
    uri: str
    """hf://[org/]name@revision, pvc://claim[/path] or http(s)://…#sha256=<hex>."""
    endpoint: str = ""
    """The Hugging Face endpoint that the spec names; empty for the operator's default."""
    claim: str = ""
    path: str = ""

    @property
    def job_uri(self) -> str:
        """The uri as the export Job sees it: the claim is mounted at /source there."""
        if self.scheme != "pvc":
            return self.uri
        return f"pvc:///source/{self.path}" if self.path else "pvc:///source"

    @property
    def display(self) -> str:
        """Short, for a table: a commit is cut to twelve digits, a file's digest is left out."""
        uri = self.uri.partition("#")[0]
        return re.sub(r"@([0-9a-f]{12})[0-9a-f]{28}$", r"@\1", uri)


def parse_uri(uri: str, endpoint: str = "") -> Source:
    """The normalised source of a uri in the short form.

    Raises ValueError with a sentence that says what the uri must look like.
    """
    if match := _HF.fullmatch(uri):
        revision = match["revision"] or DEFAULT_REVISION
        return Source("hf", f"hf://{match['repo']}@{revision}", endpoint=endpoint)
    if match := _PVC.fullmatch(uri):
        return _claim(match["claim"], match["path"] or "")
    if match := _HTTP.fullmatch(uri):
        scheme: Scheme = "https" if match["scheme"] == "https" else "http"
        return Source(scheme, f"{scheme}://{match['rest']}#sha256={match['sha256']}")
    raise ValueError(_refusal(uri))


def _claim(claim: str, path: str) -> Source:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("the path of a pvc:// uri must stay in the volume: no '..'")
    clean = "/".join(parts)
    uri = f"pvc://{claim}/{clean}" if clean else f"pvc://{claim}"
    return Source("pvc", uri, claim=claim, path=clean)


def _refusal(uri: str) -> str:
    if uri.startswith(("http://", "https://")):
        return (
            "an http(s) uri ends with the digest of the file, #sha256=<64 hex digits>, "
            "and carries no user or password"
        )
    if match := _UNSUPPORTED.match(uri):
        return f"{match[1]}:// sources are not supported yet: use hf://, pvc:// or http(s)://"
    return (
        "must be hf://[org/]name[@revision], pvc://claim/path or http(s)://…#sha256=<64 hex digits>"
    )
