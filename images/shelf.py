"""Finished images in the cache folder: one archive and one note of its sizes for each."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from images.measure import Measure
from llm_cluster.progress import Progress

_KEPT_PER_NAME = 3


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image: its name in a cluster, its archive and its sizes in bytes."""

    reference: str
    archive: Path
    unpacked: int
    compressed: int

    def entry(self) -> dict[str, object]:
        """What `build/images.json` says about it."""
        return {
            "reference": self.reference,
            "archive": str(self.archive),
            "unpackedBytes": self.unpacked,
            "compressedBytes": self.compressed,
        }


class Shelf:
    """Looks images up by name and content tag; makes those that are missing."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._measure = Measure(folder / "layers.json")

    def take(
        self, name: str, tag: str, reference: str, make: Callable[[Path], None]
    ) -> tuple[Image, bool]:
        """The image and whether it was made now; ``make`` writes the archive."""
        archive = self._folder / f"{name}-{tag}.tar"
        note = archive.with_suffix(".json")
        is_new = not (archive.exists() and note.exists())
        if is_new:
            self._folder.mkdir(parents=True, exist_ok=True)
            make(archive)
            with self._progress.step(f"measuring the image {name}"):
                note.write_text(json.dumps(asdict(self._measure.size(archive))))
        os.utime(archive)
        self._forget_old(name)
        sizes = json.loads(note.read_text())
        return Image(reference, archive, sizes["unpacked"], sizes["compressed"]), is_new

    def _forget_old(self, name: str) -> None:
        """Other checkouts and branches share the cache, so the last few of each name stay."""
        archives = [path for path in self._folder.glob("*.tar") if _name(path) == name]
        archives.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for archive in archives[_KEPT_PER_NAME:]:
            archive.with_suffix(".json").unlink(missing_ok=True)
            archive.unlink()


def _name(archive: Path) -> str:
    return archive.stem.rpartition("-")[0]
