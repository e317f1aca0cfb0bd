"""A volume's checkpoint is copied whole, hashed on the way, and never from outside the volume."""

from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.download_source import Access, Download, download_source
from llm_runtime.model.progress import SharedProgress
from llm_runtime.model.source import Pinned, VolumeSource
from support.checkpoints import tiny_llama


def download(source: Path, folder: Path, root: Path) -> Pinned:
    request = Download(VolumeSource(source), folder, lambda _: None, lambda _: False)
    return download_source(request, Access(volume_root=root), SharedProgress())


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    tiny_llama(tmp_path / "volume" / "model")
    return tmp_path / "volume"


def test_the_files_of_a_checkpoint_are_copied_and_no_others(volume: Path, tmp_path: Path) -> None:
    for name in ("README.md", "pytorch_model.bin", "modeling.py"):
        (volume / "model" / name).write_text("x")
    download(volume / "model", tmp_path / "copy", volume)
    copied = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert set(copied) == {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert all((volume / "model" / name).read_bytes() == copied[name] for name in copied)


def test_the_identity_follows_from_the_contents_alone(volume: Path, tmp_path: Path) -> None:
    first = download(volume / "model", tmp_path / "one", volume)
    (volume / "model").rename(volume / "moved")
    (volume / "moved" / "README.md").write_text("new")
    assert download(volume / "moved", tmp_path / "two", volume).identity == first.identity
    (volume / "moved" / "config.json").write_text("{}")
    assert download(volume / "moved", tmp_path / "three", volume).identity != first.identity


def test_a_link_inside_the_volume_is_followed(volume: Path, tmp_path: Path) -> None:
    """The hub's own cache keeps snapshots as links to blobs."""
    weights = volume / "model" / "model.safetensors"
    weights.rename(volume / "blob")
    weights.symlink_to("../blob")
    download(volume / "model", tmp_path / "copy", volume)
    assert not (tmp_path / "copy" / "model.safetensors").is_symlink()
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (volume / "blob").read_bytes()


def test_a_link_that_leads_out_of_the_volume_is_refused(volume: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token")
    (volume / "model" / "tokenizer_config.json").unlink()
    (volume / "model" / "tokenizer_config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is a link that leads out"):
        download(volume / "model", tmp_path / "copy", volume)


def test_a_missing_folder_is_named(volume: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no folder") as caught:
        download(volume / "none", tmp_path / "copy", volume)
    assert caught.value.reason is Reason.FILE_NOT_FOUND


@pytest.mark.parametrize("path", ["model.onnx", "onnx/model.onnx"])
def test_a_folder_of_onnx_files_is_told_what_it_is(volume: Path, tmp_path: Path, path: str) -> None:
    (volume / "model" / "model.safetensors").unlink()
    (volume / "model" / path).parent.mkdir(exist_ok=True)
    (volume / "model" / path).write_bytes(b"x")
    with pytest.raises(ModelError, match="holds ONNX files") as caught:
        download(volume / "model", tmp_path / "copy", volume)
    assert caught.value.reason is Reason.PRE_EXPORTED_UNSUPPORTED


def test_a_folder_below_that_cannot_be_read_is_no_matter(volume: Path, tmp_path: Path) -> None:
    (volume / "model" / "model.safetensors").unlink()
    (volume / "model" / "lost+found").mkdir(mode=0)
    with pytest.raises(ModelError, match="holds neither") as caught:
        download(volume / "model", tmp_path / "copy", volume)
    assert caught.value.reason is Reason.FILE_NOT_FOUND


def test_a_missing_shard_is_named(volume: Path, tmp_path: Path) -> None:
    (volume / "model" / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    )
    with pytest.raises(ModelError, match="model-00001-of-00002") as caught:
        download(volume / "model", tmp_path / "copy", volume)
    assert caught.value.reason is Reason.FILE_NOT_FOUND


def test_an_unwanted_architecture_ends_before_the_weights_are_copied(
    volume: Path, tmp_path: Path
) -> None:
    def refuse(folder: Path) -> None:
        raise ModelError(Reason.UNSUPPORTED_ARCHITECTURE, "no; use another")

    source = VolumeSource(volume / "model")
    request = Download(source, tmp_path / "copy", refuse, lambda _: False)
    with pytest.raises(ModelError):
        download_source(request, Access(volume_root=volume), SharedProgress())
    assert not (tmp_path / "copy" / "model.safetensors").exists()
