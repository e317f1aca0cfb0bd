"""Checkpoints on a mounted volume: copied while they are hashed, so the digest is of what is used.

The volume is the user's and may change at any time; the copy does not.
"""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.digests import combined_sha256
from llm_runtime.model.progress import Progress, Step
from llm_runtime.model.selection import has_weights, require_weights, small_files, weight_files
from llm_runtime.model.source import Pinned, VolumeSource
from llm_runtime.model.space import require_disk

_CHUNK_BYTES = 4 << 20


class VolumeCopy:
    """One folder's copy; ``root`` is the mount that links must not lead out of."""

    def __init__(self, source: VolumeSource, root: Path, folder: Path) -> None:
        self._source = source
        self._root = root if source.folder.is_relative_to(root) else source.folder
        self._folder = folder
        self._digests: list[tuple[str, str]] = []

    def survey(self) -> dict[str, int]:
        """Sizes of the files at the folder's root.

        Raises ModelError: FileNotFound without the folder; and what ``require_weights`` raises.
        """
        with self._errors():
            if not self._source.folder.is_dir():
                raise ModelError(
                    Reason.FILE_NOT_FOUND,
                    f"the volume has no folder {self._shown}; check the path after the claim's"
                    " name",
                )
            paths = [path for path in self._source.folder.iterdir() if path.is_file()]
            sizes = {path.name: path.stat().st_size for path in paths}
            if not has_weights(sizes):
                # A folder of exports keeps them one below; it is told what it is, too.
                below = islice(self._source.folder.glob("*/*.onnx"), 1)
                require_weights([*sizes, *map(str, below)])
            return sizes

    def copy_small(self, sizes: dict[str, int], progress: Progress) -> None:
        """Configuration, tokenizer and index. Raises ModelError."""
        for name in small_files(sizes):
            self._copy(name, progress)

    def copy_weights(self, sizes: dict[str, int], progress: Progress) -> Pinned:
        """The safetensors files; the digest over all that was copied. Raises ModelError."""
        names = weight_files(self._folder, sizes)
        size = sum(sizes[name] for name in names)
        require_disk(self._folder, size)
        progress.begin(Step.FETCH, size)
        for name in names:
            self._copy(name, progress)
        digest = combined_sha256(self._digests)
        return Pinned(f"pvc://{self._shown}", f"sha256:{digest}", f"pvc:{digest}")

    def _copy(self, name: str, progress: Progress) -> None:
        digest = hashlib.sha256()
        with self._errors():
            path = self._inside(name)
            with path.open("rb") as source, (self._folder / name).open("wb") as copy:
                while chunk := source.read(_CHUNK_BYTES):
                    copy.write(chunk)
                    digest.update(chunk)
                    progress.advance(len(chunk))
        self._digests.append((name, digest.hexdigest()))

    def _inside(self, name: str) -> Path:
        path = (self._source.folder / name).resolve(strict=True)
        if not path.is_relative_to(self._root.resolve()) or not path.is_file():
            raise ModelError(
                Reason.FILE_NOT_FOUND,
                f"{name} is a link that leads out of the volume; put the file itself there",
            )
        return path

    @property
    def _shown(self) -> str:
        return str(self._source.folder)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ModelError(
                Reason.FILE_NOT_FOUND,
                f"{Path(str(error.filename)).name} went away while {self._shown} was read; put it"
                " back",
            ) from error
        except PermissionError as error:
            raise ModelError(
                Reason.AUTH_FAILED,
                f"{self._shown} cannot be read by uid 10001; make its files readable for others"
                " (chmod -R o+rX)",
            ) from error
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ESTALE, errno.ETIMEDOUT):
                raise
            raise ModelError(
                Reason.SOURCE_UNREACHABLE,
                f"the volume of {self._shown} does not answer; look at its storage",
            ) from error
