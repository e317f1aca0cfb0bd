"""An export is whole, deterministic and checked for room, or there is nothing."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export import exporter, weights
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.layout import OPERATORS
from llm_runtime.export.manifest import Manifest, SourceRecord
from llm_runtime.model.verify import verify_artifact
from support.checkpoints import tiny_llama


def export(source: Path, destination: Path, **options: Any) -> Manifest:
    record = SourceRecord(uri="test", revision="1")
    return export_model(ExportRequest(source, destination, record, **options))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny_llama(tmp_path / "checkpoint")


def test_the_artifact_is_what_its_manifest_says(checkpoint: Path, tmp_path: Path) -> None:
    manifest = export(checkpoint, tmp_path / "artifact")
    assert verify_artifact(tmp_path / "artifact") == manifest
    assert {file.path for file in manifest.files} >= {
        "model.onnx",
        "model.data",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
        "config.json",
    }


def test_equal_checkpoints_give_equal_bytes(checkpoint: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    export(checkpoint, first)
    export(checkpoint, second)
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_the_graph_uses_exactly_the_operators_that_are_allowed_to_load(tmp_path: Path) -> None:
    kinds = set()
    for name in ("Llama", "Qwen3"):
        source = tiny_llama(tmp_path / name, architectures=[f"{name}ForCausalLM"])
        if name == "Qwen3":
            add_head_norms(source)
        export(source, tmp_path / f"{name}-artifact")
        model = onnx.load(tmp_path / f"{name}-artifact/model.onnx", load_external_data=False)
        kinds |= {(node.domain, node.op_type) for node in model.graph.node}
    assert kinds == OPERATORS


def add_head_norms(source: Path) -> None:
    tensors = load_file(source / "model.safetensors")
    for layer in range(2):
        for which in ("q", "k"):
            name = f"model.layers.{layer}.self_attn.{which}_norm.weight"
            tensors[name] = np.ones(16, np.float32)
    save_file(tensors, source / "model.safetensors")


def test_a_tied_embedding_is_stored_once(tmp_path: Path) -> None:
    tied = export(tiny_llama(tmp_path / "tied", tie_word_embeddings=True), tmp_path / "a")
    loose = export(tiny_llama(tmp_path / "loose"), tmp_path / "b")
    assert loose.parameters - tied.parameters == 64 * 32


def test_too_little_memory_is_told_before_anything_is_written(
    checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="raise the memory limit to at least") as caught:
        export(checkpoint, tmp_path / "artifact", memory_limit=64 << 20)
    assert caught.value.reason is Reason.INSUFFICIENT_MEMORY
    assert not caught.value.retryable
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("when", range(4))
def test_a_disk_that_runs_full_at_any_write_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    calls = iter(range(100))

    def full(file: Any) -> None:
        if next(calls) == when * 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "sync", full)
    monkeypatch.setattr(exporter, "sync", full)
    with pytest.raises(ModelError, match="ran full") as caught:
        export(checkpoint, tmp_path / "artifact")
    assert caught.value.reason is Reason.NO_SPACE
    assert caught.value.retryable
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_disk_without_room_is_told_before_anything_is_written(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(1000))
    with pytest.raises(ModelError, match="1000 B free") as caught:
        export(checkpoint, tmp_path / "artifact")
    assert caught.value.reason is Reason.NO_SPACE


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_weight_of_the_wrong_shape_is_named(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"] = np.zeros((48, 31), np.float32)
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight has shape"):
        export(checkpoint, tmp_path / "artifact")


def test_a_missing_weight_is_named(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    del tensors["model.layers.0.self_attn.k_proj.weight"]
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.layers\.0\.self_attn\.k_proj\.weight"):
        export(checkpoint, tmp_path / "artifact")


def test_a_weight_that_the_graph_would_leave_out_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["model.layers.0.self_attn.q_proj.bias"] = np.zeros(64, np.float32)
    save_file(tensors, checkpoint / "model.safetensors")
    with pytest.raises(ModelError, match=r"q_proj\.bias") as caught:
        export(checkpoint, tmp_path / "artifact")
    assert caught.value.reason is Reason.UNSUPPORTED_ARCHITECTURE


def test_an_existing_destination_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact" / "mine").write_text("x")
    with pytest.raises(ModelError, match="exists already"):
        export(checkpoint, tmp_path / "artifact")
    assert (tmp_path / "artifact" / "mine").read_text() == "x"


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    document = json.loads((checkpoint / "tokenizer.json").read_text())
    document["model"]["vocab"]["extra"] = 64
    (checkpoint / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="token id 64, the model's vocab_size is 64"):
        export(checkpoint, tmp_path / "artifact")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"model": {"type": "Evil"}}'])
def test_a_broken_tokenizer_is_refused(checkpoint: Path, tmp_path: Path, content: bytes) -> None:
    (checkpoint / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        export(checkpoint, tmp_path / "artifact")


def test_a_missing_tokenizer_is_not_found(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(ModelError) as caught:
        export(checkpoint, tmp_path / "artifact")
    assert caught.value.reason is Reason.FILE_NOT_FOUND


def test_generation_config_says_which_tokens_end_an_answer(
    checkpoint: Path, tmp_path: Path
) -> None:
    (checkpoint / "generation_config.json").write_text('{"eos_token_id": [2, 5]}')
    manifest = export(checkpoint, tmp_path / "artifact")
    assert (manifest.tokens.bos, manifest.tokens.eos) == (1, (2, 5))


def test_exporting_needs_neither_torch_nor_transformers_nor_onnxruntime(
    checkpoint: Path, tmp_path: Path
) -> None:
    script = (
        "import sys; from click.testing import CliRunner;"
        "from llm_runtime.commands.export import command;"
        "result = CliRunner().invoke(command, sys.argv[1:]); print(result.output);"
        "bad = {'torch', 'transformers', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(result.exit_code or bool(bad))"
    )
    arguments = [sys.executable, "-P", "-c", script, str(checkpoint), str(tmp_path / "artifact")]
    done = subprocess.run(arguments, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    assert (tmp_path / "artifact" / "manifest.json").is_file()
