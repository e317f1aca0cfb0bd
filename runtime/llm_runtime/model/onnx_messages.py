"""The parts of ONNX's messages through which a model can name files or run code.

Field numbers are those of onnx.proto (github.com/onnx/onnx, stable by its versioning rules). Only
these fields are declared, the rest stays unknown bytes, so the runtime image needs no onnx; and the
parser is protobuf's own, the one onnxruntime uses, so both read a hostile file in the same way.
"""

from functools import cache

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_PACKAGE = "llm_runtime.onnx"
_FILE = "llm_runtime/onnx_messages.proto"
_Field = descriptor_pb2.FieldDescriptorProto
_REPEATED, _OPTIONAL = _Field.LABEL_REPEATED, _Field.LABEL_OPTIONAL
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
}

# message -> field -> (number, scalar type or message name, repeated)
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "Model": {
        "graph": (7, "Graph", False),
        "training_info": (20, "Training", True),
        "functions": (25, "Function", True),
    },
    "Graph": {
        "node": (1, "Node", True),
        "initializer": (5, "Tensor", True),
        "sparse_initializer": (15, "SparseTensor", True),
    },
    "Node": {
        "op_type": (4, "string", False),
        "attribute": (5, "Attribute", True),
        "domain": (7, "string", False),
    },
    "Attribute": {
        "t": (5, "Tensor", False),
        "g": (6, "Graph", False),
        "tensors": (10, "Tensor", True),
        "graphs": (11, "Graph", True),
        "sparse_tensor": (22, "SparseTensor", False),
        "sparse_tensors": (23, "SparseTensor", True),
    },
    "Tensor": {
        "dims": (1, "int64", True),
        "data_type": (2, "int32", False),
        "name": (8, "string", False),
        "external_data": (13, "Entry", True),
        "data_location": (14, "int32", False),
    },
    "Entry": {"key": (1, "string", False), "value": (2, "string", False)},
    "SparseTensor": {"values": (1, "Tensor", False), "indices": (2, "Tensor", False)},
    "Training": {"initialization": (1, "Graph", False), "algorithm": (2, "Graph", False)},
    "Function": {"node": (7, "Node", True), "attribute_proto": (11, "Attribute", True)},
}


@cache
def _model_class() -> type[message.Message]:
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind, repeated) in fields.items():
            entry = declared.field.add(name=field, number=number)
            entry.label = _REPEATED if repeated else _OPTIONAL
            entry.type = _SCALARS.get(kind, _Field.TYPE_MESSAGE)
            if entry.type == _Field.TYPE_MESSAGE:
                entry.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))


def parse_model(content: bytes) -> message.Message:
    """The model's declared fields. Raises google.protobuf's DecodeError for anything else."""
    model = _model_class()()
    model.ParseFromString(content)
    return model
