"""The shelf of finished images."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from images.shelf import Shelf

from llm_cluster.progress import Progress


def _write(archive: Path) -> None:
    with tarfile.open(archive, "w") as tar:
        for name, content in {"1.tar": b"x" * 100, "manifest.json": _manifest()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def _manifest() -> bytes:
    return json.dumps([{"Layers": ["1.tar"]}]).encode()


def _refuse(_: Path) -> None:
    raise AssertionError("made again")


def test_an_image_is_made_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Progress())

    first, is_new = shelf.take("a", "1", "localhost/a:1", _write)
    second, is_new_again = shelf.take("a", "1", "localhost/a:1", _refuse)

    assert (is_new, is_new_again) == (True, False)
    assert first == second
    assert first.unpacked == 100


def test_a_build_that_failed_leaves_nothing_on_the_shelf(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Progress())

    with pytest.raises(AssertionError):
        shelf.take("a", "1", "localhost/a:1", _refuse)

    assert shelf.take("a", "1", "localhost/a:1", _write)[1]


def test_an_archive_without_its_note_is_made_again(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Progress())
    shelf.take("a", "1", "localhost/a:1", _write)
    (tmp_path / "a-1.json").unlink()

    assert shelf.take("a", "1", "localhost/a:1", _write)[1]


def test_only_the_last_few_of_a_name_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Progress())
    for number in range(5):
        shelf.take("a", str(number), f"localhost/a:{number}", _write)
        os.utime(tmp_path / f"a-{number}.tar", (number, number))
    shelf.take("a-b", "0", "localhost/a-b:0", _write)

    shelf.take("a", "5", "localhost/a:5", _write)

    assert {path.name for path in tmp_path.glob("*.tar")} == {
        "a-3.tar", "a-4.tar", "a-5.tar", "a-b-0.tar"}  # fmt: skip


def test_an_entry_says_what_the_demo_reads(tmp_path: Path) -> None:
    image, _ = Shelf(tmp_path, Progress()).take("a", "1", "localhost/a:1", _write)

    assert image.entry() == {
        "reference": "localhost/a:1",
        "archive": str(tmp_path / "a-1.tar"),
        "unpackedBytes": 100,
        "compressedBytes": image.compressed,
    }
