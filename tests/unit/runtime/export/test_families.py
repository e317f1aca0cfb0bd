"""What each family's config.json means, and what is refused instead of exported wrongly."""

from typing import Any

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.config import ModelConfig
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families.registry import read_spec
from llm_runtime.export.rotary import Llama3Scaling
from support.checkpoints import CONFIG


def spec(architecture: str = "LlamaForCausalLM", **fields: Any) -> DecoderSpec:
    return read_spec(ModelConfig(CONFIG | {"architectures": [architecture]} | fields))


def test_a_llama_without_new_fields_takes_their_old_meaning() -> None:
    old: dict[str, Any] = {
        name: None for name in ("head_dim", "num_key_value_heads", "attention_bias")
    }
    read = spec(**old, hidden_size=64, num_attention_heads=4)
    assert (read.head_dim, read.kv_heads, read.qkv_bias, read.tied) == (16, 4, False, False)


def test_rotary_parameters_of_transformers_5_and_before_mean_the_same() -> None:
    new = spec(rope_parameters={"rope_type": "default", "rope_theta": 5e5}, rope_theta=None)
    assert spec(rope_theta=5e5).rotary == new.rotary


def test_llama_3_scaling_is_read_in_both_spellings() -> None:
    fields = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    for key in ("rope_type", "type"):
        read = spec(rope_scaling=fields | {key: "llama3"})
        assert read.rotary.llama3 == Llama3Scaling(8.0, 1.0, 4.0, 8192)


def test_a_mistral_without_the_field_has_the_default_window_and_null_has_none() -> None:
    without = {k: v for k, v in CONFIG.items() if k != "sliding_window"}
    config = without | {"architectures": ["MistralForCausalLM"]}
    assert read_spec(ModelConfig(config)).windows == (4096, 4096)
    assert spec("MistralForCausalLM", sliding_window=None).windows == (None, None)


def test_qwen2_windows_begin_at_their_layer_and_only_when_used() -> None:
    fields = {"sliding_window": 16, "max_window_layers": 1}
    assert spec("Qwen2ForCausalLM", **fields).windows == (None, None)
    assert spec("Qwen2ForCausalLM", use_sliding_window=True, **fields).windows == (None, 16)
    kinds = ["sliding_attention", "full_attention"]
    read = spec("Qwen2ForCausalLM", use_sliding_window=True, layer_types=kinds, **fields)
    assert read.windows == (16, None)


def test_qwen2_has_biases_where_qwen3_has_norms() -> None:
    two, three = spec("Qwen2ForCausalLM"), spec("Qwen3ForCausalLM")
    assert (two.qkv_bias, two.head_norm, two.output_bias) == (True, False, False)
    assert (three.qkv_bias, three.head_norm) == (False, True)


REFUSED: dict[str, dict[str, Any]] = {
    "architectures is GPT2LMHeadModel": {"architectures": ["GPT2LMHeadModel"]},
    "architectures is none": {"architectures": None},
    "auto_map": {"auto_map": {"AutoModel": "evil.Model"}},
    "quantization_config": {"quantization_config": {"quant_method": "gptq"}},
    "hidden_act is 'gelu'": {"hidden_act": "gelu"},
    "rope_type 'yarn'": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
    "partial_rotary_factor": {"rope_parameters": {"partial_rotary_factor": 0.5}},
    "head_dim 8": {"head_dim": 8},
    "num_attention_heads 4 is no multiple": {"num_key_value_heads": 3},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_would_be_exported_wrongly_is_refused_by_name(words: str) -> None:
    fields = REFUSED[words]
    with pytest.raises(ModelError) as caught:
        read_spec(ModelConfig(CONFIG | fields))
    assert caught.value.reason is Reason.UNSUPPORTED_ARCHITECTURE
    assert words in caught.value.message
    assert "supported are" in caught.value.message
    assert not caught.value.retryable
