"""Disks that really run full: small file systems in memory, mounted for one test."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from llm_runtime.model.artifact import fetch, push
from llm_runtime.model.download import INCOMING
from llm_runtime.model.reference import Reference
from llm_runtime.model.registry import RegistryOptions
from llm_runtime.model.verify import verify_artifact
from support.checkpoints import tiny_llama
from support.oci_registry import OciRegistry

PLAIN = RegistryOptions(plain_http=True)
Mount = Callable[[int], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of so many KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
        subprocess.run(command, check=True)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets work begin on a disk that is too small, as when others fill it meanwhile."""
    for module in ("export.exporter", "model.download"):
        monkeypatch.setattr(f"llm_runtime.{module}.require_disk", lambda *_: None)


def is_no_space(error: ModelError) -> bool:
    return error.reason is Reason.NO_SPACE and error.retryable


def test_a_fetch_onto_a_small_disk_is_refused_before_it_starts(
    registry: OciRegistry, artifact: Path, mount: Mount
) -> None:
    stored = push(artifact, Reference(registry.host, "full", "v1"), PLAIN)
    disk = mount(512)
    with pytest.raises(ModelError, match="are needed") as caught:
        fetch(Reference(registry.host, "full", digest=stored.digest), disk / "model", PLAIN)
    assert is_no_space(caught.value)
    assert list((disk / "model" / INCOMING).iterdir()) == []


@pytest.mark.usefixtures("no_estimate")
def test_a_fetch_that_fills_the_disk_shows_nothing_and_ends_well_once_there_is_room(
    registry: OciRegistry, artifact: Path, mount: Mount
) -> None:
    stored = push(artifact, Reference(registry.host, "fills", "v1"), PLAIN)
    source = Reference(registry.host, "fills", digest=stored.digest)
    disk = mount(1024)
    with pytest.raises(ModelError, match="ran full") as caught:
        fetch(source, disk / "model", PLAIN)
    assert is_no_space(caught.value)
    assert not (disk / "model" / "model.data").exists()
    assert not (disk / "model" / "manifest.json").exists()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    fetch(source, disk / "model", PLAIN)
    verify_artifact(disk / "model")


@pytest.mark.usefixtures("no_estimate")
def test_an_export_that_fills_the_disk_leaves_it_as_it_was(tmp_path: Path, mount: Mount) -> None:
    source = tiny_llama(tmp_path / "checkpoint", hidden_size=256, intermediate_size=512)
    disk = mount(1024)
    with pytest.raises(ModelError, match="ran full") as caught:
        export_model(
            ExportRequest(source, disk / "artifact", SourceRecord(uri="test", revision="1"))
        )
    assert is_no_space(caught.value)
    assert list(disk.iterdir()) == []
    assert shutil.disk_usage(disk).used == 0
