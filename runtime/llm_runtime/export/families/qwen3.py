"""Qwen3 (dense): ``Qwen3ForCausalLM``."""

from dataclasses import replace

from llm_runtime.export.config import ModelConfig
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families.llama import decoder_spec
from llm_runtime.export.families.qwen2 import layer_windows


def read_spec(config: ModelConfig) -> DecoderSpec:
    """The decoder that a Qwen3 config.json describes."""
    bias = config.boolean("attention_bias", default=False)
    spec = decoder_spec("qwen3", config, layer_windows(config))
    return replace(spec, qkv_bias=bias, output_bias=bias, head_norm=True)
