"""How many sequences of which length fit into the memory of the pod. Pure."""

from dataclasses import dataclass

from llm_runtime.backend.base import CacheShape

# The interpreter, onnxruntime, gRPC and the tokenizer, measured ~110 MiB, and buffers of a step.
_BASE_BYTES = 192 << 20
# onnxruntime keeps packed copies of the matrices; the mapped file beside them can be dropped by the
# kernel.
_WEIGHT_COPIES = 1.25
_SHORTEST_CONTEXT = 64
DEFAULT_SLOTS = 16
DEFAULT_CHUNK = 256


class CapacityError(Exception):
    """Not one sequence fits, or more was asked for than there is; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the model takes.

    Attributes:
        weight_bytes: of the artifact's weights.
        bytes_per_token: of all caches, for one position.
        max_context: tokens that the model was made for.
    """

    weight_bytes: int
    bytes_per_token: int
    max_context: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for; None leaves it to us. `memory_bytes` is the container's limit."""

    context: int | None = None
    slots: int | None = None
    memory_bytes: int | None = None


def plan_shape(needs: Needs, wishes: Wishes) -> CacheShape:
    """Returns the room for sequences.

    What was asked for is given or refused. What was not is as much as fits: first the model's own
    context with fewer slots, then, with one slot, a shorter context.

    Raises:
        CapacityError: names the setting to change.
    """
    if wishes.context is not None and wishes.context > needs.max_context:
        raise CapacityError(
            f"maxContextLength is {wishes.context}, the model holds {needs.max_context} tokens;"
            " lower it"
        )
    context = wishes.context or needs.max_context
    if wishes.memory_bytes is None:
        return _shape(wishes.slots or DEFAULT_SLOTS, context)
    room = _cache_tokens(needs, wishes.memory_bytes)
    slots = wishes.slots or min(DEFAULT_SLOTS, room // _shape(1, context).capacity)
    if slots >= 1 and slots * _shape(1, context).capacity <= room:
        return _shape(slots, context)
    if wishes.context is None and (shorter := _longest_context(room // max(1, slots))):
        return _shape(max(1, slots), shorter)
    raise CapacityError(_too_little(needs, max(1, slots) * _shape(1, context).capacity))


def _shape(slots: int, context: int) -> CacheShape:
    return CacheShape(slots, context, min(DEFAULT_CHUNK, context))


def _cache_tokens(needs: Needs, memory: int) -> int:
    left = memory - _BASE_BYTES - int(needs.weight_bytes * _WEIGHT_COPIES)
    return max(0, left) // needs.bytes_per_token


def _longest_context(rows: int) -> int:
    """The longest context whose slot has so many rows with its chunk; 0 when it is of no use."""
    context = rows - DEFAULT_CHUNK if rows >= 2 * DEFAULT_CHUNK else rows // 2
    return context if context >= _SHORTEST_CONTEXT else 0


def _too_little(needs: Needs, rows: int) -> str:
    least = _BASE_BYTES + int(needs.weight_bytes * _WEIGHT_COPIES) + rows * needs.bytes_per_token
    return (
        f"The memory limit is too small: these settings need about {-(-least >> 20)} MiB; raise"
        " resources.limits.memory or lower maxContextLength or maxConcurrentSequences"
    )
