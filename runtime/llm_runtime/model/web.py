"""Checkpoints on web servers: an archive, or an index of files; nothing counts before its digest.

An index is ``{"files": [{"path": "model.safetensors", "size": 123, "sha256": "<hex>"}, …]}``, paths
being plain names beside it.
"""

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import ManifestPart
from llm_runtime.export.manifest import ManifestFile
from llm_runtime.model.containment import plain_name
from llm_runtime.model.progress import Progress, Step
from llm_runtime.model.selection import is_wanted
from llm_runtime.model.source import HttpSource, Pinned
from llm_runtime.model.space import require_disk

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_CHUNK_BYTES = 1 << 20
_MAXIMUM_INDEX = 4 << 20
_MAXIMUM_MEMBERS = 10_000


class FileIndex(ManifestPart):
    """The content of an index."""

    files: tuple[ManifestFile, ...]


class WebDownload:
    """One source's download into ``folder``."""

    def __init__(self, source: HttpSource, token: str | None, folder: Path) -> None:
        self._source = source
        self._token = token
        self._folder = folder

    @property
    def pinned(self) -> Pinned:
        """Its digest was given, so it is pinned from the start.

        The uri goes into the artifact, which more people read than the source: a signed URL's query
        is a password, so it stays out.
        """
        digest = self._source.sha256
        uri = urlsplit(self._source.url)._replace(query="", fragment="").geturl()
        return Pinned(uri, f"sha256:{digest}", f"http:{digest}")

    def fetch(self, progress: Progress) -> list[str]:
        """Downloads and unpacks everything; returns the names of all files of the source.

        Those that were left out are named as well: they tell what the source is. Raises ModelError.
        """
        if self._source.is_index:
            return self._fetch_listed(progress)
        return self._fetch_archive(progress)

    def _fetch_listed(self, progress: Progress) -> list[str]:
        with self._open(self._source.url) as (body, _):
            content = body.read(_MAXIMUM_INDEX + 1)
        if hashlib.sha256(content).hexdigest() != self._source.sha256:
            raise self._mismatch(self._source.url)
        files = self._read_index(content).files
        wanted = [file for file in files if is_wanted(file.path)]
        size = sum(file.size for file in wanted)
        require_disk(self._folder, size)
        progress.begin(Step.FETCH, size)
        for file in wanted:
            self._fetch_file(file, progress)
        return [file.path for file in files]

    def _read_index(self, content: bytes) -> FileIndex:
        try:
            return FileIndex.model_validate_json(content)
        except ValidationError as error:
            raise ModelError(
                Reason.DOWNLOAD_FAILED,
                f"{_name(self._source.url)} is no index of files; write"
                ' {"files": [{"path", "size", "sha256"}]} with plain names',
                retryable=False,
            ) from error

    def _fetch_file(self, file: ManifestFile, progress: Progress) -> None:
        url = urljoin(self._source.url, file.path)
        digest = hashlib.sha256()
        with self._open(url) as (body, _), (self._folder / file.path).open("wb") as target:
            size = 0
            while size <= file.size and (chunk := body.read(_CHUNK_BYTES)):
                size += len(chunk)
                digest.update(chunk)
                target.write(chunk)
                progress.advance(len(chunk))
        if (size, digest.hexdigest()) != (file.size, file.sha256):
            raise self._mismatch(url)

    def _fetch_archive(self, progress: Progress) -> list[str]:
        with self._open(self._source.url) as (body, length):
            require_disk(self._folder, length)
            progress.begin(Step.FETCH, length)
            stream = _HashingStream(body, progress)
            unpacked = self._unpack(stream)
            stream.drain()
        # Only now is it known whether the content can be believed, its faults included.
        if stream.digest != self._source.sha256:
            raise self._mismatch(self._source.url)
        if isinstance(unpacked, ModelError):
            raise unpacked
        return unpacked

    def _unpack(self, stream: "_HashingStream") -> list[str] | ModelError:
        try:
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                return unpack_members(archive, self._folder)
        except (tarfile.TarError, zlib.error, EOFError, UnicodeError) as error:
            return _bad_archive(f"cannot be read ({type(error).__name__})")
        except ModelError as error:
            return error

    @contextmanager
    def _open(self, url: str) -> Iterator[tuple[Any, int]]:
        """The body as a file-like object, and its length in bytes (0 when not told)."""
        headers = {"Accept-Encoding": "identity"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        timeout = (_CONNECT_SECONDS, _READ_SECONDS)
        try:
            with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
                self._check(response, url)
                yield response.raw, int(response.headers.get("Content-Length", 0))
        except requests.RequestException as error:
            raise self._unreachable(url, f"it does not answer ({type(error).__name__})") from error
        except (HTTPError, ConnectionError, TimeoutError) as error:
            raise ModelError(
                Reason.DOWNLOAD_FAILED,
                f"the download of {_name(url)} broke off ({type(error).__name__}); it is tried"
                " again",
            ) from error

    def _check(self, response: requests.Response, url: str) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in (401, 403):
            raise ModelError(
                Reason.AUTH_FAILED,
                f"{_host(url)} refuses access to {_name(url)}; give a token in the Secret that"
                " credentials.secretRef names (key token)",
            )
        if status in (404, 410):
            raise ModelError(
                Reason.FILE_NOT_FOUND, f"{_host(url)} has no {_name(url)}; check the source's URL"
            )
        raise self._unreachable(url, f"it answered {status}")

    def _unreachable(self, url: str, what: str) -> ModelError:
        return ModelError(
            Reason.SOURCE_UNREACHABLE,
            f"{_host(url)} cannot be used: {what}; check the URL, the network policy and the proxy"
            " of the export Job",
        )

    def _mismatch(self, url: str) -> ModelError:
        return ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{_name(url)} has another sha256 than the source says; correct the digest, or find"
            " out who changed the file",
        )


def unpack_members(archive: tarfile.TarFile, folder: Path) -> list[str]:
    """Writes the wanted files of an archive, at its root or in its one folder, into ``folder``.

    Returns the names of those, and the paths of the files that stay in the archive.
    Raises ModelError for links, devices, paths that lead outside and names that come twice.
    """
    names = []
    for count, member in enumerate(archive):
        if count > _MAXIMUM_MEMBERS:
            raise _bad_archive(f"has more than {_MAXIMUM_MEMBERS} entries")
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if member.name.startswith("/") or ".." in parts or "\0" in member.name:
            raise _bad_archive(f"names {member.name[:100]!r}, which leads outside")
        if member.isdir():
            continue
        if not member.isfile():
            raise _bad_archive(f"holds {member.name[:100]!r}, which is no plain file")
        if parts and len(parts) <= 2 and is_wanted(parts[-1]):
            _write_member(archive, member, folder / plain_name(parts[-1]))
            names.append(parts[-1])
        else:
            names.append("/".join(parts))
    return names


def _write_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = archive.extractfile(member)
    if content is None or path.exists():
        raise _bad_archive(f"holds {path.name} twice")
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            file.write(chunk)


def _bad_archive(what: str) -> ModelError:
    return ModelError(
        Reason.DOWNLOAD_FAILED,
        f"the archive {what}; pack plain files only, as tar or tar.gz, and give its new digest",
        retryable=False,
    )


class _HashingStream(io.RawIOBase):
    """Passes a body on and keeps its digest."""

    def __init__(self, body: Any, progress: Progress) -> None:
        self._body = body
        self._progress = progress
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Hex digest of what was read."""
        return self._sha256.hexdigest()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes."""
        chunk: bytes = self._body.read(size if size >= 0 else None)
        self._sha256.update(chunk)
        self._progress.advance(len(chunk))
        return chunk

    def drain(self) -> None:
        """Reads what an unpacker left."""
        while self.read(_CHUNK_BYTES):
            pass


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2][:100] or "/"


def _host(url: str) -> str:
    return urlsplit(url).netloc[:100]
