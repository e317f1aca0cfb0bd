"""Layers become files: side by side, continued where an earlier run stopped, checked on the way.

A file grows under ``.incoming`` in the destination, so the last rename stays inside one file
system even when the destination is a mounted volume. Memory does not grow with the model.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import MANIFEST_FILE, ManifestFile
from llm_runtime.model.digests import file_sha256
from llm_runtime.model.progress import Progress
from llm_runtime.model.registry import Repository
from llm_runtime.model.space import full_disk_is_no_space, require_disk
from llm_runtime.model.tar_layer import TarLayer

INCOMING = ".incoming"
_PARALLEL = 4
_CHUNK_BYTES = 1 << 20
# A stream that breaks is continued this often in a row without a byte arriving.
_FRUITLESS_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be had, and the digest of the layer that holds it."""

    file: ManifestFile
    layer_digest: str

    @property
    def partial_name(self) -> str:
        """Name of the growing file: of the layer, because two files may have equal contents."""
        return self.layer_digest.removeprefix("sha256:")


def download_layers(
    repository: Repository, targets: Sequence[Target], destination: Path, progress: Progress
) -> None:
    """Fetches all targets into ``destination``; the first failure ends the others.

    Raises ModelError: NoSpace before or while writing, RegistryUnavailable, ChecksumMismatch.
    """
    incoming = destination / INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    missing = [target for target in targets if not _is_there(target, destination, progress)]
    require_disk(destination, sum(_missing_bytes(target, incoming) for target in missing))
    stop = Event()
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="fetch") as pool:
        futures = [
            pool.submit(_Download(repository, target, destination, progress, stop).run)
            for target in missing
        ]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        if any(future.exception() for future in done):
            stop.set()
    # The first that failed on its own; those that were stopped say less.
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda each: isinstance(each, _StoppedError)):
        raise error


def show_manifest(destination: Path, content: bytes) -> None:
    """Writes manifest.json, which makes the artifact complete, and removes the work folder."""
    incoming = destination / INCOMING
    path = incoming / MANIFEST_FILE
    with full_disk_is_no_space(destination), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.rename(destination / MANIFEST_FILE)
    for leftover in incoming.iterdir():
        leftover.unlink()
    incoming.rmdir()


def _is_there(target: Target, destination: Path, progress: Progress) -> bool:
    path = destination / target.file.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != target.file.size:
        return False
    if file_sha256(path) != target.file.sha256:
        return False
    progress.advance(target.file.size)
    return True


def _missing_bytes(target: Target, incoming: Path) -> int:
    partial = incoming / target.partial_name
    return target.file.size - (partial.stat().st_size if partial.is_file() else 0)


class _StoppedError(Exception):
    """Another download failed; this one was told to end."""


class _Download:
    """One file on its way.

    One digest is taken, the layer's: it covers the file byte for byte, and a second one would cost
    as much again as disk and network (`verify_artifact` compares the file's before it is loaded).
    """

    def __init__(
        self,
        repository: Repository,
        target: Target,
        destination: Path,
        progress: Progress,
        stop: Event,
    ) -> None:
        self._repository = repository
        self._target = target
        self._destination = destination
        self._progress = progress
        self._stop = stop
        self._tar = TarLayer(target.file.path, target.file.size)
        self._partial = destination / INCOMING / target.partial_name
        self._layer = hashlib.sha256(self._tar.header)

    def run(self) -> None:
        """Fetches, checks and shows the file."""
        with full_disk_is_no_space(self._destination):
            # A plain name made of digits of ours; O_NOFOLLOW because the folder may be a volume.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._partial, flags, 0o644), "r+b") as file:
                self._fill(file)
                self._check(file)
                file.flush()
                os.fsync(file.fileno())
        self._partial.rename(self._destination / self._target.file.path)

    def _fill(self, file: BinaryIO) -> None:
        size = self._target.file.size
        file.truncate(min(file.seek(0, os.SEEK_END), size))
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            self._took(chunk)
        fruitless = 0
        while (have := file.tell()) < size:
            failure = self._continue(file)
            fruitless = 0 if file.tell() > have else fruitless + 1
            if failure is not None and fruitless >= _FRUITLESS_ATTEMPTS:
                raise failure
            if fruitless:
                self._pause(fruitless)

    def _continue(self, file: BinaryIO) -> ModelError | None:
        """Appends what the registry sends; the error that ended it early, if time may heal it."""
        start = len(self._tar.header) + file.tell()
        try:
            with self._repository.blob(self._target.layer_digest, start) as stream:
                self._copy(stream, file)
        except ModelError as error:
            if not error.retryable or error.reason is Reason.NO_SPACE:
                raise
            return error
        return None if file.tell() == self._target.file.size else self._cut_short()

    def _copy(self, stream: Any, file: BinaryIO) -> None:
        while remaining := self._target.file.size - file.tell():
            if self._stop.is_set():
                raise _StoppedError
            chunk = stream.read(min(_CHUNK_BYTES, remaining))
            if not chunk:
                return
            file.write(chunk)
            self._took(chunk)

    def _took(self, chunk: bytes) -> None:
        self._layer.update(chunk)
        self._progress.advance(len(chunk))

    def _pause(self, fruitless: int) -> None:
        if self._stop.wait(_FIRST_PAUSE_SECONDS * 2**fruitless):
            raise _StoppedError

    def _cut_short(self) -> ModelError:
        return ModelError(
            Reason.DOWNLOAD_FAILED,
            f"the registry ended {self._target.file.path} early again and again; look at the"
            " registry's log and storage",
        )

    def _check(self, file: BinaryIO) -> None:
        self._layer.update(self._tar.trailer)
        if f"sha256:{self._layer.hexdigest()}" == self._target.layer_digest:
            return
        file.truncate(0)
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{self._target.file.path} arrived with another sha256 than its image's digest says;"
            " check the registry's storage, or export the model again",
        )
