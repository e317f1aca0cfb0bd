"""Which architecture is written by which module."""

from collections.abc import Callable

from llm_runtime.export.config import ModelConfig, unsupported
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families import llama, mistral, qwen2, qwen3

_READERS: dict[str, Callable[[ModelConfig], DecoderSpec]] = {
    "LlamaForCausalLM": llama.read_spec,
    "MistralForCausalLM": mistral.read_spec,
    "Qwen2ForCausalLM": qwen2.read_spec,
    "Qwen3ForCausalLM": qwen3.read_spec,
}


def read_spec(config: ModelConfig) -> DecoderSpec:
    """The decoder that config.json describes.

    Raises ModelError(UnsupportedArchitecture) for unknown architectures, remote code and quantised
    checkpoints.
    """
    architectures = config.texts("architectures") or ()
    reader = next((_READERS[each] for each in architectures if each in _READERS), None)
    if reader is None:
        named = ", ".join(architectures)[:100] or "none"
        raise unsupported(f"{config.where}: architectures is {named}")
    if config.fields.get("auto_map") is not None:
        raise unsupported(f"{config.where}: auto_map asks for code from the repository")
    if config.fields.get("quantization_config") is not None:
        raise unsupported(f"{config.where}: quantization_config says that it is quantised")
    return reader(config)
