"""An artifact that is not what its manifest says is never loaded."""

import os
import shutil
from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord, load_manifest
from llm_runtime.model.verify import verify_artifact
from support.checkpoints import tiny_llama


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    record = SourceRecord(uri="test", revision="1")
    source = tiny_llama(folder / "checkpoint")
    export_model(ExportRequest(source, folder / "artifact", record))
    return folder / "artifact"


@pytest.fixture
def artifact(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "artifact")


def refusal(artifact: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        verify_artifact(artifact)
    return caught.value


def test_an_intact_artifact_passes(artifact: Path) -> None:
    assert verify_artifact(artifact) == load_manifest(artifact)


def test_one_flipped_bit_in_any_file_is_found(artifact: Path) -> None:
    for file in load_manifest(artifact).files:
        path = artifact / file.path
        original = path.read_bytes()
        content = bytearray(original)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert file.path in refusal(artifact).message
        path.write_bytes(original)


def test_a_missing_file_is_named(artifact: Path) -> None:
    for file in load_manifest(artifact).files:
        (artifact / file.path).rename(artifact.parent / "kept")
        assert refusal(artifact).reason is Reason.FILE_NOT_FOUND
        assert file.path in refusal(artifact).message
        (artifact.parent / "kept").rename(artifact / file.path)


@pytest.mark.parametrize("name", ["hook.py", "ops.so", "weights.bin", "model.onnx.data", ".hidden"])
def test_a_file_that_is_not_listed_is_refused(artifact: Path, name: str) -> None:
    (artifact / name).write_bytes(b"x")
    assert name in refusal(artifact).message
    assert refusal(artifact).reason is Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize("name", ["model.data", "model.onnx", "manifest.json", "tokenizer.json"])
def test_cve_2026_34447_a_symlink_is_refused_even_to_the_right_content(
    artifact: Path, name: str
) -> None:
    (artifact / name).rename(artifact.parent / "elsewhere")
    (artifact / name).symlink_to(artifact.parent / "elsewhere")
    assert "is a link or not a regular file" in refusal(artifact).message


def test_cve_2026_34446_a_hard_link_to_another_file_is_refused(artifact: Path) -> None:
    secret = artifact.parent / "secret"
    secret.write_text("password")
    (artifact / "model.data").unlink()
    (artifact / "model.data").hardlink_to(secret)
    assert refusal(artifact).reason is Reason.CHECKSUM_MISMATCH


def test_a_pipe_does_not_hang_the_check(artifact: Path) -> None:
    (artifact / "model.data").unlink()
    os.mkfifo(artifact / "model.data")
    assert "not a regular file" in refusal(artifact).message


def test_a_folder_in_place_of_a_file_is_refused(artifact: Path) -> None:
    (artifact / "model.data").unlink()
    (artifact / "model.data").mkdir()
    assert "not a regular file" in refusal(artifact).message


def test_a_truncated_file_is_found(artifact: Path) -> None:
    os.truncate(artifact / "model.data", 100)
    assert "has 100 bytes" in refusal(artifact).message


def test_an_empty_folder_is_no_artifact(tmp_path: Path) -> None:
    assert refusal(tmp_path).reason is Reason.FILE_NOT_FOUND
