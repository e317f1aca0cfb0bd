"""What a graph may refer to: listed data files, inside their bounds, and the operators we write.

onnxruntime follows a tensor's ``location`` on its own, in C++, so this is checked before any
session exists (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489 and their kin). Every tensor counts:
initialisers, sparse ones, attributes, subgraphs, functions and training graphs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.layout import OPERATORS
from llm_runtime.model.onnx_messages import parse_model

MAXIMUM_GRAPH_BYTES = 512 << 20
_EXTERNAL = 1
_FLOAT = 1
_FLOAT_BYTES = 4
_FACTS = {"location", "offset", "length"}
# Digits of numbers below 2^63.
_MAXIMUM_DIGITS = 19


def check_graph(content: bytes, data_sizes: Mapping[str, int]) -> None:
    """Checks a serialised graph; ``data_sizes`` are the bytes of each file it may refer to.

    Raises ModelError(ChecksumMismatch) that names the tensor or operator.
    """
    try:
        model = parse_model(content)
    except DecodeError as error:
        raise _refused("it cannot be parsed") from error
    for message in _walk(model):
        match message.DESCRIPTOR.name:
            case "Tensor":
                _check_tensor(message, data_sizes)
            case "Node":
                _check_operator(message)


def _walk(message: Message) -> Iterator[Any]:
    """The message and all messages inside it. protobuf itself bounds the depth to 100."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            children = [value] if isinstance(value, Message) else value
            for child in children:
                yield from _walk(child)


def _check_operator(node: Any) -> None:
    if (node.domain, node.op_type) not in OPERATORS:
        raise _refused(
            f"the operator {node.domain[:60]}:{node.op_type[:60]} is not one the exporter writes"
        )


def _check_tensor(tensor: Any, data_sizes: Mapping[str, int]) -> None:
    if tensor.data_location != _EXTERNAL and not tensor.external_data:
        return
    name = tensor.name[:100]
    facts = {entry.key: entry.value for entry in tensor.external_data}
    if len(facts) != len(tensor.external_data) or facts.keys() != _FACTS:
        raise _refused(f"tensor {name!r} has other external facts than location, offset, length")
    size = data_sizes.get(facts["location"])
    if size is None:
        raise _refused(
            f"tensor {name!r} lies in {facts['location'][:100]!r}, which is not a data file of the"
            " manifest"
        )
    offset, length = _number(name, facts["offset"]), _number(name, facts["length"])
    if offset + length > size:
        raise _refused(f"tensor {name!r} ends at byte {offset + length} of a file of {size}")
    if tensor.data_type != _FLOAT or length != _bytes_of(tensor.dims):
        raise _refused(f"tensor {name!r} does not fill its {length} bytes with float32")


def _bytes_of(dims: Sequence[int]) -> int:
    if any(dimension < 0 for dimension in dims):
        return -1
    return _FLOAT_BYTES * math.prod(dims)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAXIMUM_DIGITS):
        raise _refused(f"tensor {name!r} has the offset or length {text[:40]!r}")
    return int(text)


def _refused(what: str) -> ModelError:
    return ModelError(
        Reason.CHECKSUM_MISMATCH,
        f"the model's graph is refused: {what}; the artifact was altered or is not one of ours,"
        " export the model again",
    )
