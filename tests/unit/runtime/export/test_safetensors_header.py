"""A safetensors header is believed only where it fits the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.safetensors_header import read_header

GOOD: dict[str, Any] = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def write(path: Path, header: object, data: bytes = bytes(16), length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + data)
    return path


def test_what_the_library_writes_is_read_back(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "a": np.ones((3, 2), np.float32),
        "b": np.zeros((4,), np.float16),
    }
    save_file(arrays, tmp_path / "x.safetensors", metadata={"format": "pt"})
    tensors = read_header(tmp_path / "x.safetensors")
    assert {name: (each.dtype, each.shape) for name, each in tensors.items()} == {
        "a": ("F32", (3, 2)),
        "b": ("F16", (4,)),
    }
    content = (tmp_path / "x.safetensors").read_bytes()
    a = tensors["a"]
    assert content[a.offset : a.offset + a.size] == arrays["a"].tobytes()


BROKEN: dict[str, tuple[object, bytes, int | None]] = {
    "a length beyond the file": ({"a": GOOD}, bytes(16), 1 << 40),
    "a length of all ones": ({"a": GOOD}, bytes(16), (1 << 64) - 1),
    "no JSON": (b"{not json", bytes(16), None),
    "a list": ([GOOD], bytes(16), None),
    "endless nesting": (b"[" * 100_000, bytes(16), None),
    "a name twice": (b'{"a": 1, "a": 2}', bytes(16), None),
    "an unknown type": ({"a": GOOD | {"dtype": "F7"}}, bytes(16), None),
    "a shape larger than its bytes": ({"a": GOOD | {"shape": [2, 3]}}, bytes(16), None),
    "a negative dimension": ({"a": GOOD | {"shape": [-2, -2]}}, bytes(16), None),
    "a dimension that is true": ({"a": GOOD | {"shape": [True, 4]}}, bytes(16), None),
    "a negative offset": ({"a": GOOD | {"data_offsets": [-16, 0]}}, bytes(16), None),
    "an end beyond the file": ({"a": GOOD | {"data_offsets": [16, 32]}}, bytes(16), None),
    "bytes that no tensor owns": ({"a": GOOD}, bytes(20), None),
    "overlapping tensors": ({"a": GOOD, "b": GOOD}, bytes(16), None),
    "a gap": ({"a": GOOD, "b": GOOD | {"data_offsets": [20, 36]}}, bytes(36), None),
    "an entry without a shape": ({"a": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16), None),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_header_that_lies_is_refused(tmp_path: Path, case: str) -> None:
    header, data, length = BROKEN[case]
    with pytest.raises(ModelError) as caught:
        read_header(write(tmp_path / "x.safetensors", header, data, length))
    assert caught.value.reason is Reason.EXPORT_FAILED
    assert "x.safetensors" in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x00" * 7])
def test_a_file_that_ends_in_its_length_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="not a valid safetensors file"):
        read_header(tmp_path / "x.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_header(tmp_path / "model-00002-of-00003.safetensors")
    assert caught.value.reason is Reason.FILE_NOT_FOUND
    assert "model-00002-of-00003.safetensors" in caught.value.message


@given(content=st.binary(max_size=200), flip=st.integers(0, 400), value=st.integers(0, 255))
def test_no_bytes_do_worse_than_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, flip: int, value: int
) -> None:
    header = json.dumps({"a": GOOD}).encode()
    file = bytearray(len(header).to_bytes(8, "little") + header + bytes(16) + content)
    file[flip % len(file)] = value
    path = tmp_path_factory.mktemp("fuzz") / "x.safetensors"
    path.write_bytes(file)
    try:
        tensors = read_header(path)
    except ModelError:
        return
    assert all(each.offset + each.size <= len(file) for each in tensors.values())
