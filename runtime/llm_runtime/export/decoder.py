"""The trunk that Llama and its relatives share, written as one packed graph.

    ids -> embedding -> layers x (norm, attention, norm, SwiGLU) -> norm -> logits of chosen rows

A family states how it differs in a ``DecoderSpec``; nothing here knows a family's name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onnx import TensorProto

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export import layout
from llm_runtime.export.checkpoint import Checkpoint, Chunk
from llm_runtime.export.config import unsupported
from llm_runtime.export.graph import AttentionShape, Graph
from llm_runtime.export.layout import GraphLayout
from llm_runtime.export.rotary import Rotary, tables
from llm_runtime.export.weights import Weight

EMBEDDING = "model.embed_tokens.weight"
OUTPUT = "lm_head.weight"
FINAL_NORM = "model.norm.weight"
ROTARY_TABLES = ("rotary.cosines", "rotary.sines")


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """What a configuration says about a decoder, in counts of features, heads and tokens.

    ``windows`` holds for each layer how many tokens attention sees, None for all. ``qkv_bias``,
    ``output_bias`` and ``mlp_bias`` tell which linear layers have one; ``head_norm`` puts an RMS
    norm on every query and key head before the rotation.
    """

    family: str
    layers: int
    hidden_size: int
    intermediate_size: int
    query_heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    max_context: int
    norm_epsilon: float
    rotary: Rotary
    tied: bool
    windows: tuple[int | None, ...]
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_norm: bool = False
    # Tensors that some checkpoints carry though nothing reads them.
    ignored: frozenset[str] = field(default_factory=frozenset)

    def layout(self) -> GraphLayout:
        """The part of it that the manifest records."""
        return GraphLayout(
            layers=self.layers,
            query_heads=self.query_heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            hidden_size=self.hidden_size,
            vocab_size=self.vocab_size,
            max_context=self.max_context,
            max_capacity=self.max_context + layout.CAPACITY_MARGIN,
        )


def build(spec: DecoderSpec, checkpoint: Checkpoint) -> Graph:
    """Writes the graph; weights are named, shaped and checked, but not read yet.

    Raises ModelError: ExportFailed for missing or wrongly shaped tensors, UnsupportedArchitecture
    for tensors that the graph would leave out.
    """
    return _Writer(spec, checkpoint).write()


class _Writer:
    """Carries the spec, the checkpoint and the graph from one part of the decoder to the next."""

    def __init__(self, spec: DecoderSpec, checkpoint: Checkpoint) -> None:
        self._spec = spec
        self._checkpoint = checkpoint
        self._graph = Graph()
        self._used: set[str] = set()

    def write(self) -> Graph:
        spec, graph = self._spec, self._graph
        self._inputs()
        tables = self._rotary_tables()
        total = graph.gather(graph.weight(self._embedding()), layout.IDS, "embedding")
        normed = graph.rms_norm(
            total, self._vector("model.layers.0.input_layernorm"), spec.norm_epsilon, "first_norm"
        )
        for layer in range(spec.layers):
            branch, total = self._layer(layer, normed, total, tables)
            if layer + 1 < spec.layers:
                normed, total = self._norm(
                    total, branch, f"model.layers.{layer + 1}.input_layernorm"
                )
        self._logits(total, branch)
        self._refuse_unread_tensors()
        return graph

    def _inputs(self) -> None:
        graph = self._graph
        graph.input(layout.IDS, TensorProto.INT64, ["tokens"])
        graph.input(layout.QUERY_INDEX, TensorProto.INT64, ["slots", "width"])
        graph.input(layout.OUTPUT_INDEX, TensorProto.INT64, ["tokens"])
        graph.input(layout.LOGITS_INDEX, TensorProto.INT64, ["rows"])
        graph.input(layout.LENGTHS, TensorProto.INT32, ["slots"])
        graph.input(layout.QUERY_LENGTHS, TensorProto.INT32, ["slots"])
        graph.input(layout.CAPACITY, TensorProto.INT32, [])
        graph.output(layout.LOGITS, TensorProto.FLOAT, ["rows", self._spec.vocab_size])

    def _rotary_tables(self) -> tuple[str, str]:
        spec = self._spec
        positions = spec.max_context + layout.CAPACITY_MARGIN
        shape = (positions, spec.head_dim // 2)

        def values(which: int) -> Iterator[Chunk]:
            yield tables(spec.rotary, spec.head_dim, positions)[which]

        cosines = Weight(ROTARY_TABLES[0], shape, lambda: values(0))
        sines = Weight(ROTARY_TABLES[1], shape, lambda: values(1))
        return self._graph.weight(cosines), self._graph.weight(sines)

    def _layer(
        self, layer: int, normed: str, total: str, tables: tuple[str, str]
    ) -> tuple[str, str]:
        """One layer: its last branch, not yet added, and the sum that it belongs to."""
        attended = self._attention(layer, normed, tables)
        normed, total = self._norm(
            total, attended, f"model.layers.{layer}.post_attention_layernorm"
        )
        return self._mlp(layer, normed), total

    def _attention(self, layer: int, normed: str, tables: tuple[str, str]) -> str:
        spec, graph = self._spec, self._graph
        name = f"model.layers.{layer}.self_attn"
        qkv = self._qkv(name, normed)
        padded = graph.gather(qkv, layout.QUERY_INDEX, f"{name}.padded")
        shape = AttentionShape(spec.query_heads, spec.kv_heads, spec.head_dim, spec.windows[layer])
        attended = graph.attention(padded, layer, shape, tables)
        width = spec.query_heads * spec.head_dim
        rows = graph.rows(attended, width, f"{name}.rows")
        packed = graph.gather(rows, layout.OUTPUT_INDEX, f"{name}.packed")
        return self._linear(
            packed, [f"{name}.o_proj"], (spec.hidden_size, width), bias=spec.output_bias
        )

    def _qkv(self, name: str, normed: str) -> str:
        spec = self._spec
        heads = spec.query_heads + 2 * spec.kv_heads
        parts = [f"{name}.{each}_proj" for each in ("q", "k", "v")]
        shape = (heads * spec.head_dim, spec.hidden_size)
        qkv = self._linear(normed, parts, shape, bias=spec.qkv_bias)
        return self._norm_heads(name, qkv) if spec.head_norm else qkv

    def _norm_heads(self, name: str, qkv: str) -> str:
        spec, graph = self._spec, self._graph
        sizes = [heads * spec.head_dim for heads in (spec.query_heads, *[spec.kv_heads] * 2)]
        query, key, value = graph.split(qkv, sizes, f"{name}.split")
        normed = [
            self._norm_each_head(f"{name}.{each}_norm", part, size)
            for each, part, size in (("q", query, sizes[0]), ("k", key, sizes[1]))
        ]
        return graph.concat([*normed, value], f"{name}.joined")

    def _norm_each_head(self, name: str, part: str, width: int) -> str:
        spec, graph = self._spec, self._graph
        heads = graph.rows(part, spec.head_dim, f"{name}.heads")
        scale = self._tensor(name + ".weight", [name + ".weight"], (spec.head_dim,))
        normed = graph.rms_norm(heads, scale, spec.norm_epsilon, f"{name}.normed")
        return graph.rows(normed, width, f"{name}.rows")

    def _mlp(self, layer: int, normed: str) -> str:
        spec, graph = self._spec, self._graph
        name = f"model.layers.{layer}.mlp"
        wide = (spec.intermediate_size, spec.hidden_size)
        gate = self._linear(normed, [f"{name}.gate_proj"], wide, bias=spec.mlp_bias)
        up = self._linear(normed, [f"{name}.up_proj"], wide, bias=spec.mlp_bias)
        inner = graph.swiglu(gate, up, f"{name}.inner")
        return self._linear(inner, [f"{name}.down_proj"], wide[::-1], bias=spec.mlp_bias)

    def _logits(self, total: str, branch: str) -> None:
        # Rows are chosen before the last norm: the output layer never sees the others.
        graph = self._graph
        chosen = graph.gather(total, layout.LOGITS_INDEX, "chosen.total")
        last = graph.gather(branch, layout.LOGITS_INDEX, "chosen.branch")
        normed, _ = self._norm(chosen, last, FINAL_NORM.removesuffix(".weight"))
        weight = self._embedding() if self._spec.tied else self._matrix(OUTPUT)
        graph.linear(normed, weight, None, layout.LOGITS)

    def _norm(self, total: str, branch: str, name: str) -> tuple[str, str]:
        scale = self._vector(name)
        return self._graph.add_rms_norm(
            total, branch, scale, self._spec.norm_epsilon, f"{name}.normed"
        )

    def _linear(self, x: str, names: list[str], shape: tuple[int, int], *, bias: bool) -> str:
        """One product over the weights of ``names``, joined along their outputs."""
        joined = names[0] if len(names) == 1 else names[0].rsplit(".", 1)[0] + ".qkv"
        weight = self._tensor(f"{joined}.weight", [f"{name}.weight" for name in names], shape)
        addend = (
            self._tensor(f"{joined}.bias", [f"{name}.bias" for name in names], shape[:1])
            if bias
            else None
        )
        return self._graph.linear(x, weight, addend, f"{joined}.out")

    def _embedding(self) -> Weight:
        return self._matrix(EMBEDDING)

    def _matrix(self, name: str) -> Weight:
        return self._tensor(name, [name], (self._spec.vocab_size, self._spec.hidden_size))

    def _vector(self, name: str) -> Weight:
        return self._tensor(f"{name}.weight", [f"{name}.weight"], (self._spec.hidden_size,))

    def _tensor(self, name: str, parts: list[str], shape: tuple[int, ...]) -> Weight:
        """The checkpoint's ``parts`` joined along their first axis, which must fill ``shape``."""
        shapes = [self._checkpoint.shape(part) for part in parts]
        rows = sum(each[0] for each in shapes if each)
        if any(each[1:] != shape[1:] for each in shapes) or rows != shape[0]:
            raise ModelError(
                Reason.EXPORT_FAILED,
                f"the tensor {parts[0]} has shape {list(shapes[0])}, which does not fit config.json"
                f" (together {list(shape)} wanted); choose a revision whose files belong together",
            )
        self._used.update(parts)
        return Weight(name, shape, lambda: self._join(parts))

    def _join(self, parts: Iterable[str]) -> Iterator[Chunk]:
        for part in parts:
            yield from self._checkpoint.chunks(part)

    def _refuse_unread_tensors(self) -> None:
        known = self._used | self._spec.ignored
        unread = sorted(
            name
            for name in self._checkpoint.tensors
            if name not in known and not name.endswith(".rotary_emb.inv_freq")
        )
        if unread:
            raise unsupported(
                f"the checkpoint holds {len(unread)} tensors that a {self._spec.family} decoder"
                f" does not have, first {unread[0][:100]}"
            )


def parameters(graph: Graph) -> int:
    """Numbers that were trained; the rotary tables were not."""
    sizes = (each.size // 4 for each in graph.weights.values() if each.name not in ROTARY_TABLES)
    return sum(sizes)
