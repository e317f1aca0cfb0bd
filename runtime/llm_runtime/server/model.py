"""The served model for the server: identity, limits, tokenizer, template, defaults."""

import json
from dataclasses import dataclass
from pathlib import Path

from llm_runtime.engine.request import Sampling
from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import Manifest
from llm_runtime.tokenizer.chat import ChatTemplate
from llm_runtime.tokenizer.codec import Codec


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What `GetModelInfo` says about where the model comes from."""

    name: str
    digest: str
    family: str
    precision: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model and how it is talked to.

    Attributes:
        context: most tokens of prompt and answer together.
        vocabulary: ids that the graph accepts, 0 up to before it.
        defaults: how tokens are chosen unless a request says otherwise; the seed is not used.
    """

    identity: ModelIdentity
    context: int
    vocabulary: int
    eos_ids: frozenset[int]
    codec: Codec
    template: ChatTemplate | None
    defaults: Sampling


def load_model(
    directory: Path, manifest: Manifest, identity: ModelIdentity, context: int
) -> ServedModel:
    """Reads everything but the graph. Raises ModelError(ModelLoadFailed)."""
    codec = Codec.load(directory)
    if codec.vocabulary > manifest.graph.layout.vocab_size:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            f"The tokenizer knows {codec.vocabulary} ids, the graph only"
            f" {manifest.graph.layout.vocab_size}; export the model again with its own tokenizer",
        )
    return ServedModel(
        identity=identity,
        context=context,
        vocabulary=manifest.graph.layout.vocab_size,
        eos_ids=frozenset(manifest.tokens.eos),
        codec=codec,
        template=ChatTemplate.load(directory, codec.special),
        defaults=parse_defaults(_read(directory / "generation_config.json")),
    )


def parse_defaults(content: bytes) -> Sampling:
    """Reads generation_config.json, which means greedy unless it says do_sample.

    Values out of range raise ModelError(ModelLoadFailed).
    """
    try:
        document = json.loads(content)
        if not document.get("do_sample", False):
            return Sampling()
        sampling = Sampling(
            temperature=float(document.get("temperature") or 1.0),
            top_k=int(document.get("top_k") or 0),
            top_p=float(document.get("top_p") or 1.0),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, "generation_config.json cannot be read; export again"
        ) from error
    if not (0 < sampling.temperature <= 2 and sampling.top_k >= 0 and 0 < sampling.top_p <= 1):
        raise ModelError(
            Reason.MODEL_LOAD_FAILED,
            "generation_config.json wants a temperature outside (0, 2], a negative top_k or a top_p"
            " outside (0, 1]; correct it and export again",
        )
    return sampling


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b"{}"
