import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from llm_runtime.errors import ModelError, Reason
from llm_runtime.tokenizer.codec import Codec, SpecialText

WORDS = {"<unk>": 0, "<s>": 1, "hello": 2, "world": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_special_tokens_are_added_only_when_wanted(folder: Path) -> None:
    codec = Codec.load(folder)
    assert codec.encode("hello world", add_special=True) == [1, 2, 3]
    assert codec.encode("hello world", add_special=False) == [2, 3]


def test_a_tokenizers_own_truncation_does_not_cut_prompts(folder: Path) -> None:
    assert len(Codec.load(folder).encode("hello " * 50, add_special=False)) == 50


def test_special_tokens_are_hidden_unless_kept(folder: Path) -> None:
    codec = Codec.load(folder)
    assert codec.decode([1, 2]) == "hello"
    assert codec.decode([1, 2], keep_special=True) == "<s> hello"


@pytest.mark.parametrize("bos", ["<s>", {"content": "<s>", "lstrip": False}])
def test_special_texts_are_read_in_both_spellings(folder: Path, bos: object) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": bos, "eos_token": None}))
    assert Codec.load(folder).special == SpecialText(bos="<s>", eos="")


def test_a_missing_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="export the model again") as caught:
        Codec.load(tmp_path)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED


def test_a_broken_config_says_what_to_do(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json is not JSON"):
        Codec.load(folder)
