"""A graph refers to listed data files inside their bounds, or it is not loaded.

One test for each known way to make a model read other files. The models are written with the real
onnx package, so that our few declared fields are held against the whole format.
"""

from collections.abc import Callable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, SparseTensorProto, TensorProto, helper

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.onnx_references import check_graph

SIZES = {"model.data": 4096}


def external(location: str = "model.data", offset: str = "0", length: str = "16") -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(*tensors: TensorProto) -> ModelProto:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["t", 2])
    return helper.make_model(helper.make_graph([node], "g", [x], [y], list(tensors)))


def refusal(made: ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        check_graph(made.SerializeToString(), SIZES)
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    return caught.value.message


def test_a_graph_of_ours_passes() -> None:
    inline = helper.make_tensor("shape", TensorProto.INT64, [2], [-1, 2])
    check_graph(model(external(), inline).SerializeToString(), SIZES)


@pytest.mark.parametrize(
    "location",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../model.data",
        "./model.data",
        "other.data",
        "",
        "model.data\0",
        "file:///etc/passwd",
        "MODEL.DATA",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_cve_2022_25882_and_2024_27318_a_location_outside_is_refused(location: str) -> None:
    assert "not a data file of the manifest" in refusal(model(external(location)))


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        ("4096", "16"),
        ("4090", "16"),
        ("-1", "16"),
        ("0", "-16"),
        ("99999999999999999999", "16"),
        ("0x0", "16"),
        (" 0", "16"),
        ("٠", "16"),
        ("", "16"),
        ("0", "9223372036854775807"),
    ],
)
def test_an_offset_or_length_beyond_the_file_is_refused(offset: str, length: str) -> None:
    assert "tensor 'w'" in refusal(model(external(offset=offset, length=length)))


def test_a_length_that_does_not_fit_the_shape_is_refused() -> None:
    assert "does not fill" in refusal(model(external(length="12")))


def test_negative_dimensions_are_refused() -> None:
    tensor = external()
    tensor.dims[:] = [-2, -2]
    assert "does not fill" in refusal(model(tensor))


def test_ghsa_538c_55jv_c5g9_other_external_facts_are_refused() -> None:
    tensor = external()
    tensor.external_data.add(key="basepath", value="/etc")
    assert "other external facts" in refusal(model(tensor))


def test_a_location_given_twice_is_refused() -> None:
    tensor = external()
    tensor.external_data.add(key="location", value="/etc/passwd")
    assert "other external facts" in refusal(model(tensor))


def test_external_facts_without_the_external_mark_are_refused_all_the_same() -> None:
    tensor = external("/etc/passwd")
    tensor.data_location = TensorProto.DEFAULT
    assert "not a data file" in refusal(model(tensor))


def in_attribute(made: ModelProto) -> None:
    made.graph.node[0].attribute.append(helper.make_attribute("value", external("/etc/passwd")))


def in_attribute_list(made: ModelProto) -> None:
    attribute = AttributeProto(name="values", type=AttributeProto.TENSORS)
    attribute.tensors.append(external("/etc/passwd"))
    made.graph.node[0].attribute.append(attribute)


def in_subgraph(made: ModelProto) -> None:
    graph = GraphProto(name="inner", initializer=[external("/etc/passwd")])
    made.graph.node[0].attribute.append(helper.make_attribute("body", graph))


def in_sparse_initializer(made: ModelProto) -> None:
    made.graph.sparse_initializer.append(SparseTensorProto(values=external("/etc/passwd")))


def in_sparse_attribute(made: ModelProto) -> None:
    sparse = SparseTensorProto(indices=external("/etc/passwd"))
    attribute = AttributeProto(name="s", type=AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse)
    made.graph.node[0].attribute.append(attribute)


def in_function(made: ModelProto) -> None:
    node = helper.make_node("Gemm", [], [])
    node.attribute.append(helper.make_attribute("value", external("/etc/passwd")))
    made.functions.add(name="f").node.append(node)


def in_function_default(made: ModelProto) -> None:
    default = helper.make_attribute("value", external("/etc/passwd"))
    made.functions.add(name="f").attribute_proto.append(default)


def in_training(made: ModelProto) -> None:
    made.training_info.add().initialization.initializer.append(external("/etc/passwd"))


@pytest.mark.parametrize(
    "hide",
    [
        in_attribute,
        in_attribute_list,
        in_subgraph,
        in_sparse_initializer,
        in_sparse_attribute,
        in_function,
        in_function_default,
        in_training,
    ],
)
def test_cve_2026_27489_no_place_of_the_format_hides_a_tensor(
    hide: Callable[[ModelProto], None],
) -> None:
    made = model(external())
    hide(made)
    assert "not a data file" in refusal(made)


@pytest.mark.parametrize(
    ("domain", "kind"),
    [("com.microsoft", "EPContext"), ("custom", "Gemm"), ("", "If"), ("ai.onnx.ml", "Gemm")],
)
def test_an_operator_that_the_exporter_does_not_write_is_refused(domain: str, kind: str) -> None:
    made = model(external())
    made.graph.node.append(helper.make_node(kind, ["y"], ["z"], domain=domain))
    assert f"{domain}:{kind}" in refusal(made)


def test_endless_nesting_is_refused() -> None:
    made = model(external())
    graph = made.graph
    for _ in range(200):
        node = graph.node.add(op_type="Gemm")
        attribute = node.attribute.add(name="body", type=AttributeProto.GRAPH)
        graph = attribute.g
    assert "cannot be parsed" in refusal(made)


@given(position=st.integers(0, 10_000), value=st.integers(0, 255), extra=st.binary(max_size=30))
def test_no_altered_byte_leads_outside(position: int, value: int, extra: bytes) -> None:
    content = bytearray(model(external()).SerializeToString() + extra)
    content[position % len(content)] = value
    try:
        check_graph(bytes(content), SIZES)
        made = ModelProto.FromString(bytes(content))
    except (ModelError, DecodeError):
        return  # refused by us, or unreadable for everybody
    for tensor in made.graph.initializer:
        facts = {entry.key: entry.value for entry in tensor.external_data}
        assert facts.get("location", "model.data") == "model.data"
        assert int(facts.get("offset", 0)) + int(facts.get("length", 0)) <= 4096
