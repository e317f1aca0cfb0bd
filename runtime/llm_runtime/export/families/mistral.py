"""Mistral 7B and its relatives: ``MistralForCausalLM``."""

from llm_runtime.export.config import ModelConfig
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families.llama import decoder_spec

# What transformers assumes when config.json has no such field (null means no window).
_DEFAULT_WINDOW = 4096


def read_spec(config: ModelConfig) -> DecoderSpec:
    """The decoder that a Mistral config.json describes."""
    layers = config.integer("num_hidden_layers", maximum=1024)
    return decoder_spec("mistral", config, windows=(_window(config),) * layers)


def _window(config: ModelConfig) -> int | None:
    if "sliding_window" in config.fields and config.fields["sliding_window"] is None:
        return None
    return config.integer("sliding_window", _DEFAULT_WINDOW)
