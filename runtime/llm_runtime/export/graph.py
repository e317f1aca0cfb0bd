"""The nodes that decoders are written with, over onnx's own helpers.

Every method adds a node and returns the name of its output. Activations are rank 2, [tokens,
features], except inside ``attention``; weights keep the checkpoint's [out, in] order, so they are
copied as they lie and a tied embedding serves as output layer too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from llm_runtime.export import layout
from llm_runtime.export.weights import Placement, Weight

_CONTRIB = "com.microsoft"
_IR_VERSION = 10


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """One attention's heads; ``window`` counts the tokens it sees, itself included."""

    query_heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None


@dataclass(slots=True)
class Graph:
    """A growing graph: its nodes, inputs, outputs, small constants and large weights."""

    nodes: list[NodeProto] = field(default_factory=list)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> str:
        """An input of the graph; ``kind`` is a TensorProto data type."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: Sequence[str | int]) -> None:
        """Declares an existing tensor as the graph's output."""
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def weight(self, weight: Weight) -> str:
        """A tensor that lies in model.data; the same name twice is the same tensor."""
        self.weights.setdefault(weight.name, weight)
        return weight.name

    def gather(self, data: str, rows: str, name: str) -> str:
        """``data[rows]`` along the first axis."""
        return self._node("Gather", [data, rows], name, axis=0)

    def linear(self, x: str, weight: Weight, bias: Weight | None, name: str) -> str:
        """``x @ weight.T + bias``, weight [out, in]."""
        inputs = [x, self.weight(weight), *([self.weight(bias)] if bias else [])]
        return self._node("Gemm", inputs, name, transB=1)

    def rms_norm(self, x: str, scale: Weight, epsilon: float, name: str) -> str:
        """``x / sqrt(mean(x * x) + epsilon) * scale`` over the last axis."""
        inputs = [x, self.weight(scale)]
        return self._node("SimplifiedLayerNormalization", inputs, name, axis=-1, epsilon=epsilon)

    def add_rms_norm(
        self, x: str, skip: str, scale: Weight, epsilon: float, name: str
    ) -> tuple[str, str]:
        """The norm of ``x + skip``, and the sum itself."""
        total = f"{name}.sum"
        self.nodes.append(
            helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [x, skip, self.weight(scale)],
                [name, "", "", total],
                name=name,
                domain=_CONTRIB,
                epsilon=epsilon,
            )
        )
        return name, total

    def swiglu(self, gate: str, up: str, name: str) -> str:
        """``silu(gate) * up``; QuickGelu with alpha 1 is silu."""
        silu = self._node("QuickGelu", [gate], f"{name}.silu", domain=_CONTRIB, alpha=1.0)
        return self._node("Mul", [silu, up], name)

    def split(self, x: str, sizes: Sequence[int], name: str) -> list[str]:
        """Cuts the last axis into pieces of the given sizes."""
        names = [f"{name}.{index}" for index in range(len(sizes))]
        inputs = [x, self._integers(f"{name}.sizes", sizes)]
        self.nodes.append(helper.make_node("Split", inputs, names, name=name, axis=-1))
        return names

    def concat(self, parts: Sequence[str], name: str) -> str:
        """Joins along the last axis."""
        return self._node("Concat", parts, name, axis=-1)

    def rows(self, x: str, width: int, name: str) -> str:
        """The same values as [anything, width]."""
        return self._node("Reshape", [x, self._integers(f"{name}.shape", [-1, width])], name)

    def attention(
        self, qkv: str, layer: int, shape: AttentionShape, tables: tuple[str, str]
    ) -> str:
        """Rotary grouped-query attention over the layer's caches.

        ``qkv`` [B, S, (query_heads + 2 * kv_heads) * head_dim] -> [B, S, query_heads * head_dim].
        ``tables`` are the cosines and sines. Caches are read and written in place.
        """
        past, present = self._caches(layer, shape)
        # Positions in the operator's list: 3-4 caches, 7-8 tables, 16 new tokens per slot.
        inputs = [qkv, "", "", *past, layout.LENGTHS, layout.CAPACITY, *tables]
        inputs += [""] * 7 + [layout.QUERY_LENGTHS]
        name = f"layers.{layer}.attention"
        window = {} if shape.window is None else {"local_window_size": shape.window}
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                inputs,
                [name, *present],
                name=name,
                domain=_CONTRIB,
                num_heads=shape.query_heads,
                kv_num_heads=shape.kv_heads,
                do_rotary=1,
                **window,
            )
        )
        return name

    def to_model(self, placements: Sequence[Placement]) -> ModelProto:
        """The finished model; weights refer to their placements in the data files."""
        initializers = self.constants + [_external(placement) for placement in placements]
        graph = helper.make_graph(self.nodes, "packed", self.inputs, self.outputs, initializers)
        opsets = [helper.make_opsetid("", layout.OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _caches(self, layer: int, shape: AttentionShape) -> tuple[tuple[str, str], tuple[str, str]]:
        past = (layout.past_key(layer), layout.past_value(layer))
        present = (layout.present_key(layer), layout.present_value(layer))
        dimensions: list[str | int] = ["slots", shape.kv_heads, "capacity", shape.head_dim]
        for name in past:
            self.input(name, TensorProto.FLOAT, dimensions)
        for name in present:
            self.output(name, TensorProto.FLOAT, dimensions)
        return past, present

    def _node(
        self, kind: str, inputs: Sequence[str], name: str, domain: str = "", **attributes: object
    ) -> str:
        node = helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def _integers(self, name: str, values: Sequence[int]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name


def _external(placement: Placement) -> TensorProto:
    weight = placement.weight
    tensor = TensorProto(name=weight.name, data_type=TensorProto.FLOAT, dims=weight.shape)
    tensor.data_location = TensorProto.EXTERNAL
    facts = (("location", placement.file), ("offset", placement.offset), ("length", weight.size))
    for key, value in facts:
        tensor.external_data.add(key=key, value=str(value))
    return tensor
