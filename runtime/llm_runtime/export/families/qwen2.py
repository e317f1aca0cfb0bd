"""Qwen2 and Qwen2.5 (dense): ``Qwen2ForCausalLM``."""

from dataclasses import replace

from llm_runtime.export.config import ModelConfig, unsupported
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families.llama import decoder_spec

_KINDS = {"full_attention", "sliding_attention"}
# What transformers assumes when config.json has no such field.
_DEFAULT_WINDOW = 4096
_DEFAULT_FULL_LAYERS = 28


def read_spec(config: ModelConfig) -> DecoderSpec:
    """The decoder that a Qwen2 config.json describes."""
    spec = decoder_spec("qwen2", config, layer_windows(config))
    return replace(spec, qkv_bias=True)


def layer_windows(config: ModelConfig) -> tuple[int | None, ...]:
    """For each layer how many tokens it sees, None for all."""
    layers = config.integer("num_hidden_layers", maximum=1024)
    if not config.boolean("use_sliding_window", default=False):
        return (None,) * layers
    window = config.integer("sliding_window", _DEFAULT_WINDOW)
    kinds = config.texts("layer_types")
    if kinds is None:
        full = config.integer("max_window_layers", _DEFAULT_FULL_LAYERS)
        return tuple(window if layer >= full else None for layer in range(layers))
    if len(kinds) != layers or not set(kinds) <= _KINDS:
        raise unsupported(f"{config.where}: layer_types does not name {layers} known kinds")
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)
