"""Which of a source's files are asked for: configuration, tokenizer and safetensors. Pure.

Everything else stays where it is: no pickle, no code, no second copy of the weights.
"""

import json
from collections.abc import Collection
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.containment import plain_name

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
CONFIG_FILE = "config.json"
TEXT_FILES = (
    CONFIG_FILE,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
_PICKLE_OR_GGUF = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf")
_INDEX_LIMIT = 64 << 20


def is_wanted(name: str) -> bool:
    """Whether a source's file belongs to a checkpoint."""
    return name in (*TEXT_FILES, INDEX_FILE) or name.endswith(".safetensors")


def small_files(names: Collection[str]) -> list[str]:
    """The files to read first: text, and the index of the weights.

    Raises ModelError: FileNotFound without config.json; and what ``require_weights`` raises.
    """
    require_weights(names)
    if CONFIG_FILE not in names:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"the source has no {CONFIG_FILE}; name a repository or folder that holds one",
        )
    return [name for name in (*TEXT_FILES, INDEX_FILE) if name in names]


def weight_files(folder: Path, names: Collection[str]) -> list[str]:
    """The safetensors files, after the small ones lie in ``folder``.

    Raises ModelError: FileNotFound for a shard that the index names and the source lacks.
    """
    if INDEX_FILE not in names:
        return [SINGLE_FILE]
    shards = sorted(set(read_weight_map(folder / INDEX_FILE).values()))
    missing = [shard for shard in shards if shard not in names]
    if missing:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"the source lacks {missing[0][:100]}, which {INDEX_FILE} names; choose a complete"
            " revision",
        )
    return [plain_name(shard) for shard in shards]


def has_weights(names: Collection[str]) -> bool:
    """Whether there are safetensors at the root."""
    return SINGLE_FILE in names or INDEX_FILE in names


def require_weights(names: Collection[str]) -> None:
    """ModelError unless there are safetensors; it says what to do about what is there instead."""
    if has_weights(names):
        return
    if any(name.endswith(".onnx") for name in names):
        raise ModelError(
            Reason.PRE_EXPORTED_UNSUPPORTED,
            "the source holds ONNX files but no safetensors; name the repository of the original"
            " checkpoint (with model.safetensors), it is exported from there",
        )
    if any(name.endswith(_PICKLE_OR_GGUF) for name in names):
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"the source holds pickle or GGUF weights but no {SINGLE_FILE}; convert it to"
            " safetensors or name a revision that has them (pickle is never loaded)",
        )
    raise ModelError(
        Reason.FILE_NOT_FOUND,
        f"the source holds neither {SINGLE_FILE} nor {INDEX_FILE}; name a repository or folder"
        " with the model's weights at its root",
    )


def read_weight_map(path: Path) -> dict[str, str]:
    """Tensor name -> file name. Raises ModelError(ExportFailed) for a broken index."""
    if path.stat().st_size > _INDEX_LIMIT:
        raise _bad_index(f"is larger than {_INDEX_LIMIT} bytes")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _bad_index("is not JSON") from error
    match document:
        case {"weight_map": dict(weight_map)} if all(
            isinstance(shard, str) for shard in weight_map.values()
        ):
            return weight_map
    raise _bad_index("has no weight_map of names to files")


def _bad_index(what: str) -> ModelError:
    return ModelError(Reason.EXPORT_FAILED, f"{INDEX_FILE} {what}; download the model again")
