"""Where a model comes from: one normalised uri for every way to write it."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Scheme = Literal["hf", "pvc", "http", "https"]

DEFAULT_REVISION = "main"

# The limits of names are the hub's own. What is taken here the export Job takes, too.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HF = re.compile(
    rf"hf://(?P<repo>(?:{_NAME}/)?{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]{{0,255}}))?"
)
_PVC = re.compile(
    r"pvc://(?P<claim>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)(?:/(?P<path>[^?#\s\x00-\x1f\x7f]*))?"
)
_HTTP = re.compile(
    r"(?P<scheme>https?)://(?P<rest>[^/?#\s@]+(?:/[^#\s]*)?)#sha256=(?P<sha256>[0-9a-f]{64})"
)
# A folder's name may be percent-encoded, but not what moves a path: "." and "/", or its end.
_MOVING = re.compile(r"%(?:2e|2f|00)", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"(s3|oci)://")
_MAXIMUM_LENGTH = 1536


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
        """Short, for a table: a commit is cut to twelve digits, a file's digest is left out.

        So is a URL's query: more people read a status than a spec, and a signature is a password.
        """
        uri = re.split("[?#]", self.uri, maxsplit=1)[0]
        return re.sub(r"@([0-9a-f]{12})[0-9a-f]{28}$", r"@\1", uri)


def parse_uri(uri: str, endpoint: str = "") -> Source:
    """The normalised source of a uri in the short form.

    Raises ValueError with a sentence that says what the uri must look like.
    """
    if len(uri) > _MAXIMUM_LENGTH:
        raise ValueError(f"a source has at most {_MAXIMUM_LENGTH} characters")
    if match := _HF.fullmatch(uri):
        revision = match["revision"] or DEFAULT_REVISION
        return Source("hf", f"hf://{match['repo']}@{revision}", endpoint=endpoint)
    if match := _PVC.fullmatch(uri):
        return _claim(match["claim"], match["path"] or "")
    if (match := _HTTP.fullmatch(uri)) and _has_host(uri):
        scheme: Scheme = "https" if match["scheme"] == "https" else "http"
        return Source(scheme, f"{scheme}://{match['rest']}#sha256={match['sha256']}")
    raise ValueError(_refusal(uri))


def _claim(claim: str, path: str) -> Source:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or _MOVING.search(path):
        raise ValueError(
            "the path of a pvc:// uri must stay in the volume: no '..', and no %2e, %2f or %00"
        )
    clean = "/".join(parts)
    uri = f"pvc://{claim}/{clean}" if clean else f"pvc://{claim}"
    return Source("pvc", uri, claim=claim, path=clean)


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # brackets that hold no address
        return False


def _refusal(uri: str) -> str:
    if uri.startswith(("http://", "https://")):
        return (
            "an http(s) uri names a host, ends with the digest of the file, "
            "#sha256=<64 hex digits>, and carries no user or password"
        )
    if match := _UNSUPPORTED.match(uri):
        return f"{match[1]}:// sources are not supported yet: use hf://, pvc:// or http(s)://"
    return (
        "must be hf://[org/]name[@revision], pvc://claim/path or http(s)://…#sha256=<64 hex digits>"
    )
