"""Weights are read as float32, exactly and in bounded pieces, or not at all."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export import checkpoint as module
from llm_runtime.export.checkpoint import open_checkpoint


def write_tensor(folder: Path, dtype: str, raw: bytes, shape: list[int]) -> Path:
    entry = {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(raw)]}}
    header = json.dumps(entry).encode()
    folder.mkdir(exist_ok=True)
    content = len(header).to_bytes(8, "little") + header + raw
    (folder / "model.safetensors").write_bytes(content)
    return folder


def read(folder: Path) -> np.ndarray:
    return np.concatenate(list(open_checkpoint(folder).chunks("w")))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_bfloat16_is_the_upper_half_of_a_float32(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    halves = [struct.pack("<f", value)[2:] for value in values]
    folder = tmp_path_factory.mktemp("bf16")
    wanted = [struct.unpack("<f", b"\0\0" + half)[0] for half in halves]
    got = read(write_tensor(folder, "BF16", b"".join(halves), [len(values)]))
    assert got.dtype == np.float32
    assert got.tolist() == wanted


def test_float16_widens_exactly(tmp_path: Path) -> None:
    values = np.array([1.0, -0.1, 6e-8, 65504], np.float16)
    got = read(write_tensor(tmp_path, "F16", values.tobytes(), [4]))
    assert got.tolist() == values.astype(np.float32).tolist()


def test_a_large_tensor_comes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 64)
    values = np.arange(100, dtype=np.float32)
    folder = write_tensor(tmp_path, "F32", values.tobytes(), [100])
    pieces = list(open_checkpoint(folder).chunks("w"))
    assert max(piece.nbytes for piece in pieces) == 64
    assert np.concatenate(pieces).tolist() == values.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    raw = np.array([1, value], np.float32).tobytes()
    with pytest.raises(ModelError, match="tensor w holds values that are not finite"):
        read(write_tensor(tmp_path, "F32", raw, [2]))


@pytest.mark.parametrize("dtype", ["I8", "F8_E4M3", "U8"])
def test_a_quantised_weight_is_an_unsupported_architecture(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(write_tensor(tmp_path, dtype, bytes(4), [4]))
    assert caught.value.reason is Reason.UNSUPPORTED_ARCHITECTURE


def test_an_unknown_tensor_is_named(tmp_path: Path) -> None:
    folder = write_tensor(tmp_path, "F32", bytes(4), [1])
    with pytest.raises(ModelError, match=r"lacks the tensor model\.norm\.weight"):
        open_checkpoint(folder).shape("model.norm.weight")


def shards(folder: Path, weight_map: dict[str, str]) -> Path:
    for name in ("one", "two"):
        save_file({name: np.ones(2, np.float32)}, folder / f"{name}.safetensors")
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_are_read_through_their_index(tmp_path: Path) -> None:
    names = {"one": "one.safetensors", "two": "two.safetensors"}
    assert set(open_checkpoint(shards(tmp_path, names)).tensors) == {"one", "two"}


def test_an_index_that_names_the_wrong_shard_is_refused(tmp_path: Path) -> None:
    names = {"one": "two.safetensors", "two": "one.safetensors"}
    with pytest.raises(ModelError, match="which it does not"):
        open_checkpoint(shards(tmp_path, names))


@pytest.mark.parametrize("name", ["../two.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""])
def test_an_index_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="only plain names") as caught:
        open_checkpoint(shards(tmp_path, {"one": "one.safetensors", "two": name}))
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize("content", ["[]", "{", '{"weight_map": []}', '{"weight_map": {"a": 1}}'])
def test_a_broken_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json"):
        open_checkpoint(tmp_path)


ELSE = {
    "pytorch_model.bin": (Reason.FILE_NOT_FOUND, "pickle is never loaded"),
    "model.gguf": (Reason.FILE_NOT_FOUND, "GGUF"),
    "model.onnx": (Reason.PRE_EXPORTED_UNSUPPORTED, "original checkpoint"),
    "README.md": (Reason.FILE_NOT_FOUND, "neither model.safetensors nor"),
}


@pytest.mark.parametrize("name", ELSE)
def test_a_folder_without_safetensors_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=ELSE[name][1]) as caught:
        open_checkpoint(tmp_path)
    assert caught.value.reason is ELSE[name][0]
