"""Llama 1 to 3.2 (text): ``LlamaForCausalLM``."""

from dataclasses import replace

from llm_runtime.export.config import ModelConfig, unsupported
from llm_runtime.export.decoder import OUTPUT, DecoderSpec
from llm_runtime.export.rotary import read_rotary


def read_spec(config: ModelConfig) -> DecoderSpec:
    """The decoder that a Llama config.json describes; ModelError names what is not supported."""
    layers = config.integer("num_hidden_layers", maximum=1024)
    bias = config.boolean("attention_bias", default=False)
    return replace(
        decoder_spec("llama", config, windows=(None,) * layers),
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=config.boolean("mlp_bias", default=False),
    )


def decoder_spec(family: str, config: ModelConfig, windows: tuple[int | None, ...]) -> DecoderSpec:
    """The fields that Llama's relatives share; no biases and no norm on heads."""
    activation = config.text("hidden_act", "silu")
    if activation != "silu":
        raise unsupported(f"{config.where}: hidden_act is {activation[:40]!r}, not silu")
    hidden = config.integer("hidden_size")
    heads = config.integer("num_attention_heads", maximum=1024)
    tied = config.boolean("tie_word_embeddings", default=False)
    spec = DecoderSpec(
        family=family,
        layers=len(windows),
        hidden_size=hidden,
        intermediate_size=config.integer("intermediate_size"),
        query_heads=heads,
        kv_heads=config.integer("num_key_value_heads", heads, maximum=1024),
        head_dim=config.integer("head_dim", hidden // heads or None, maximum=1024),
        vocab_size=config.integer("vocab_size"),
        max_context=config.integer("max_position_embeddings"),
        norm_epsilon=config.number("rms_norm_eps", 1e-6),
        rotary=read_rotary(config),
        tied=tied,
        windows=windows,
        ignored=frozenset({OUTPUT}) if tied else frozenset(),
    )
    _check_heads(config, spec)
    return spec


def _check_heads(config: ModelConfig, spec: DecoderSpec) -> None:
    if spec.query_heads % spec.kv_heads:
        raise unsupported(
            f"{config.where}: num_attention_heads {spec.query_heads} is no multiple of"
            f" num_key_value_heads {spec.kv_heads}"
        )
    # GroupQueryAttention rotates sixteen features at a time.
    if spec.head_dim % 16:
        raise unsupported(f"{config.where}: head_dim {spec.head_dim} is no multiple of 16")
