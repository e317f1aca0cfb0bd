"""manifest.json says what an artifact is, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import GraphLayout
from llm_runtime.export.manifest import (
    GraphRecord,
    Manifest,
    ManifestFile,
    SourceRecord,
    SpecialTokens,
    load_manifest,
    parse_manifest,
)

LAYOUT = GraphLayout(
    layers=2,
    query_heads=4,
    kv_heads=2,
    head_dim=16,
    hidden_size=32,
    vocab_size=64,
    max_context=128,
    max_capacity=1152,
)
FILES = tuple(
    ManifestFile(path=name, size=1, sha256="0" * 64) for name in ("model.data", "model.onnx")
)
MANIFEST = Manifest(
    source=SourceRecord(uri="hf://a/b@c", revision="c"),
    family="llama",
    exporter_graph_version=1,
    minimum_onnxruntime="1.32.0",
    opset=21,
    graph=GraphRecord(file="model.onnx", data_files=("model.data",), layout=LAYOUT),
    tokens=SpecialTokens(bos=1, eos=(2,)),
    parameters=7,
    files=FILES,
)


def altered(**changes: Any) -> bytes:
    return json.dumps(json.loads(MANIFEST.to_bytes()) | changes).encode()


def test_a_manifest_survives_the_file(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(MANIFEST.to_bytes())
    assert load_manifest(tmp_path) == MANIFEST


def test_equal_manifests_are_equal_bytes() -> None:
    assert parse_manifest(MANIFEST.to_bytes()).to_bytes() == MANIFEST.to_bytes()


def file(path: str) -> dict[str, Any]:
    return {"path": path, "size": 1, "sha256": "0" * 64}


WRONG: dict[str, dict[str, Any]] = {
    "a newer format": {"formatVersion": 2},
    "an unknown field": {"hooks": "x.py"},
    "an unknown precision": {"precision": "int3"},
    "a path that leads outside": {"files": [file("../x")]},
    "an absolute path": {"files": [file("/etc/passwd")]},
    "a hidden file": {"files": [file(".ssh")]},
    "a file listed twice": {"files": [file("a"), file("a"), file("model.onnx")]},
    "the manifest itself": {"files": [file("manifest.json")]},
    "a graph that is not listed": {"files": [file("model.data")]},
    "a digest that is none": {"files": [file("a") | {"sha256": "A" * 64}]},
    "a negative size": {"files": [file("a") | {"size": -1}]},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_manifest_that_is_not_ours_is_refused(case: str) -> None:
    with pytest.raises(ModelError, match=r"manifest\.json is not valid at") as caught:
        parse_manifest(altered(**WRONG[case]))
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH


@pytest.mark.parametrize("content", [b"", b"null", b"\xff", b"[" * 10_000])
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="not valid"):
        parse_manifest(content)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(ModelError, match="larger than"):
        load_manifest(tmp_path)


def test_heads_that_do_not_group_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of kvHeads"):
        GraphLayout.model_validate(LAYOUT.model_dump() | {"kv_heads": 3})


def test_bytes_per_token_counts_keys_and_values_of_all_layers() -> None:
    assert LAYOUT.bytes_per_token == 2 * 2 * 2 * 16 * 4
