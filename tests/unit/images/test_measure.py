"""Sizes of images, from their archives."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from images.measure import Measure


def _archive(path: Path, layers: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in layers.items():
            _add(tar, name, content)
        _add(tar, "config.json", b"{}")
        _add(tar, "manifest.json", json.dumps([{"Layers": list(layers)}]).encode())
    return path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def test_unpacked_is_all_layers_and_nothing_else(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar", {"1.tar": b"x" * 1000, "2.tar": b"y" * 500})

    assert Measure(tmp_path / "memory.json").size(archive).unpacked == 1500


def test_compressed_is_what_gzip_makes_of_the_layers(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar", {"1.tar": b"x" * 100_000})

    assert 0 < Measure(tmp_path / "memory.json").size(archive).compressed < 1000


def test_a_layer_that_was_seen_is_not_compressed_again(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar", {"1.tar": b"x" * 1000})
    memory = tmp_path / "memory.json"
    memory.write_text(json.dumps({"1.tar": 7}))

    assert Measure(memory).size(archive).compressed == 7


def test_what_was_measured_is_remembered(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.tar", {"1.tar": b"x" * 1000})
    memory = tmp_path / "memory.json"

    size = Measure(memory).size(archive)

    assert json.loads(memory.read_text()) == {"1.tar": size.compressed}


def test_an_archive_of_another_kind_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        _add(tar, "index.json", b"{}")

    with pytest.raises(KeyError, match="manifest"):
        Measure(tmp_path / "memory.json").size(tmp_path / "a.tar")
