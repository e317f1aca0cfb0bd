"""Every field of config.json is read as what it is, or named as what is wrong."""

from pathlib import Path
from typing import Any

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.config import ModelConfig, read_config


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True, [8], 1 << 30])
def test_a_number_that_is_none_is_named_with_its_value(value: Any) -> None:
    config = ModelConfig({"hidden_size": value})
    with pytest.raises(ModelError, match=r"hidden_size is .*whole number") as caught:
        config.integer("hidden_size")
    assert caught.value.reason is Reason.EXPORT_FAILED


@pytest.mark.parametrize("value", [0, -1e-6, "1e-6", float("inf"), float("nan"), True])
def test_an_epsilon_that_is_not_positive_is_named(value: Any) -> None:
    with pytest.raises(ModelError, match=r"rms_norm_eps is .*positive number"):
        ModelConfig({"rms_norm_eps": value}).number("rms_norm_eps")


def test_null_means_the_default() -> None:
    assert ModelConfig({"head_dim": None}).integer("head_dim", 64) == 64


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ModelError, match=r"config\.json has no vocab_size"):
        ModelConfig({}).integer("vocab_size")


@pytest.mark.parametrize(("value", "ids"), [(2, (2,)), ([2, 3], (2, 3)), (None, ())])
def test_token_ids_come_alone_or_in_lists(value: Any, ids: tuple[int, ...]) -> None:
    assert ModelConfig({"eos_token_id": value}).token_ids("eos_token_id") == ids


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json is not a JSON object"):
        read_config(tmp_path / "config.json")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_config(tmp_path / "config.json")
    assert caught.value.reason is Reason.FILE_NOT_FOUND
