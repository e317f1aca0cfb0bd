"""Random checkpoints of a known shape, written without torch: speed depends on the shape alone.

Every layer gets weights of its own, because ONNX Runtime stores identical initializers once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder, in the words of config.json."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.hidden_size // self.num_attention_heads


HALF_BILLION = Shape(151936, 896, 4864, 24, 14, 2, 4096)
"""The shape of Qwen2-0.5B, as the peers' scripts use it."""


def write_checkpoint(shape: Shape, folder: Path) -> None:
    """Writes the checkpoint and tokenizer of a Llama-shaped model with tied embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(_tensors(shape)), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(_config(shape), indent=1))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0}))
    _tokenizer().save(str(folder / "tokenizer.json"))


def _config(shape: Shape) -> dict[str, object]:
    sizes = {name: getattr(shape, name) for name in shape.__slots__}
    return {
        **sizes,
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def _tensors(shape: Shape) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(0)

    def weights(*dimensions: int) -> NDArray[np.float32]:
        return random.standard_normal(dimensions, np.float32) * np.float32(0.02)

    hidden, key_value = shape.hidden_size, shape.num_key_value_heads * shape.head_dim
    yield "model.embed_tokens.weight", weights(shape.vocab_size, hidden)
    yield "model.norm.weight", np.ones(hidden, np.float32)
    for layer in range(shape.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{norm}.weight", np.ones(hidden, np.float32)
        for name, rows in (("q", hidden), ("k", key_value), ("v", key_value), ("o", hidden)):
            yield f"{prefix}self_attn.{name}_proj.weight", weights(rows, hidden)
        for name in ("gate", "up"):
            yield f"{prefix}mlp.{name}_proj.weight", weights(shape.intermediate_size, hidden)
        yield f"{prefix}mlp.down_proj.weight", weights(hidden, shape.intermediate_size)


def _tokenizer() -> Tokenizer:
    """A byte-level tokenizer without merges: every byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        "<|endoftext|>": 0,
        **{symbol: index + 1 for index, symbol in enumerate(alphabet)},
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
