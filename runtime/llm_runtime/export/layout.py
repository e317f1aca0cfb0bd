"""The names and shapes of the packed graph: what the exporter writes and the engine binds to.

One run of the graph is one *step*: the new tokens of every sequence, concatenated. Sequences live
in slots; each slot owns one row of every cache. Letters below: T new tokens of the step, B slots in
the bound range, S the widest slot's new tokens, R rows whose logits are wanted, C capacity.

    ids            int64 [T]       the new tokens
    q_idx          int64 [B, S]    row of ``ids`` for each slot and column; any valid row as padding
    o_idx          int64 [T]       for each row of ``ids`` its place ``slot * S + column``
    lg_idx         int64 [R]       rows of ``ids`` whose logits are wanted
    seqlens_k      int32 [B]       tokens before the step + new tokens - 1, at least 0
    query_seqlens  int32 [B]       new tokens of the slot, 0 when it is idle
    total          int32 []        C
    past_key.L, past_value.L       float32 [B, KV, C, H], bound in place to present_key.L, ...
    logits         float32 [R, V]
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

# Moves with every change of the graph's meaning, so that artifacts of older graphs get other keys.
EXPORTER_GRAPH_VERSION = 1
OPSET = 21
# GroupQueryAttention got its input query_seqlens in this release.
MINIMUM_ONNXRUNTIME = "1.32.0"
# Rows of the rotary tables beyond the context: a padded chunk may stick out over the last token.
CAPACITY_MARGIN = 1024

GRAPH_FILE = "model.onnx"
DATA_FILE = "model.data"

# (domain, operator) of every node the exporter writes; a graph with any other is not loaded.
OPERATORS = frozenset(
    {
        ("", "Concat"),
        ("", "Gather"),
        ("", "Gemm"),
        ("", "Mul"),
        ("", "Reshape"),
        ("", "SimplifiedLayerNormalization"),
        ("", "Split"),
        ("com.microsoft", "GroupQueryAttention"),
        ("com.microsoft", "QuickGelu"),
        ("com.microsoft", "SkipSimplifiedLayerNormalization"),
    }
)

IDS = "ids"
QUERY_INDEX = "q_idx"
OUTPUT_INDEX = "o_idx"
LOGITS_INDEX = "lg_idx"
LENGTHS = "seqlens_k"
QUERY_LENGTHS = "query_seqlens"
CAPACITY = "total"
LOGITS = "logits"


def past_key(layer: int) -> str:
    """Input name of a layer's key cache."""
    return f"past_key.{layer}"


def past_value(layer: int) -> str:
    """Input name of a layer's value cache."""
    return f"past_value.{layer}"


def present_key(layer: int) -> str:
    """Output name of a layer's key cache."""
    return f"present_key.{layer}"


def present_value(layer: int) -> str:
    """Output name of a layer's value cache."""
    return f"present_value.{layer}"


class ManifestPart(BaseModel):
    """A frozen piece of manifest.json, camelCase in the file; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class GraphLayout(ManifestPart):
    """The numbers an engine needs to bind the graph.

    ``max_context`` is the longest sequence in tokens, ``max_capacity`` the largest C (rows of the
    rotary tables). Caches hold ``cache_type`` and take ``bytes_per_token`` for each position.
    """

    kind: Literal["packed"] = "packed"
    layers: int = Field(ge=1, le=1024)
    query_heads: int = Field(ge=1, le=1024)
    kv_heads: int = Field(ge=1, le=1024)
    head_dim: int = Field(ge=1, le=1024)
    hidden_size: int = Field(ge=1, le=1 << 20)
    vocab_size: int = Field(ge=1, le=1 << 24)
    max_context: int = Field(ge=1, le=1 << 24)
    max_capacity: int = Field(ge=1, le=1 << 25)
    cache_type: Literal["float32"] = "float32"

    @model_validator(mode="after")
    def _heads_group(self) -> "GraphLayout":
        if self.query_heads % self.kv_heads:
            raise ValueError(
                f"queryHeads {self.query_heads} is no multiple of kvHeads {self.kv_heads}"
            )
        if self.max_capacity < self.max_context:
            raise ValueError("maxCapacity is smaller than maxContext")
        return self

    @property
    def bytes_per_token(self) -> int:
        """Bytes of key and value caches for one position over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * 4
