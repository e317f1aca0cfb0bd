"""config.json, read field by field: a missing or odd field is named, none is silently ignored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.selection import CONFIG_FILE

_MAXIMUM_BYTES = 1 << 20


def unsupported(what: str) -> ModelError:
    """An UnsupportedArchitecture error that says which checkpoints work."""
    return ModelError(
        Reason.UNSUPPORTED_ARCHITECTURE,
        f"{what}; supported are Llama, Mistral, Qwen2 and Qwen3 checkpoints without quantisation",
    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The fields of config.json; ``where`` prefixes their names in messages."""

    fields: Mapping[str, Any]
    where: str = CONFIG_FILE

    def integer(self, name: str, default: int | None = None, *, maximum: int = 1 << 24) -> int:
        """A whole number from 1 to ``maximum``; ``default`` when absent or null."""
        value = self._get(name, default)
        if type(value) is not int or not 1 <= value <= maximum:
            raise self._odd(name, f"a whole number from 1 to {maximum}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A positive finite number; ``default`` when absent or null."""
        value = self._get(name, default)
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise self._odd(name, "a positive number")
        return float(value)

    def boolean(self, name: str, *, default: bool) -> bool:
        """true or false; ``default`` when absent or null."""
        value = self._get(name, default)
        if type(value) is not bool:
            raise self._odd(name, "true or false")
        return value

    def text(self, name: str, default: str) -> str:
        """A string; ``default`` when absent or null."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self._odd(name, "a string")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, None when absent or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._odd(name, "a list of strings")
        return tuple(value)

    def section(self, name: str) -> "ModelConfig | None":
        """A nested object, None when absent or null."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._odd(name, "an object")
        return ModelConfig(value, f"{self.where}: {name}")

    def token_ids(self, name: str) -> tuple[int, ...]:
        """One token id or a list of them; empty when absent or null."""
        value = self.fields.get(name)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        if not all(type(each) is int and each >= 0 for each in ids):
            raise self._odd(name, "a token id or a list of them")
        return tuple(ids)

    def _get(self, name: str, default: object) -> Any:
        value = self.fields.get(name)
        value = default if value is None else value
        if value is None:
            raise ModelError(
                Reason.EXPORT_FAILED,
                f"{self.where} has no {name}; name a checkpoint with a complete config.json",
            )
        return value

    def _odd(self, name: str, wanted: str) -> ModelError:
        shown = repr(self.fields.get(name))[:60]
        return ModelError(
            Reason.EXPORT_FAILED,
            f"{self.where}: {name} is {shown}, it must be {wanted}; choose an intact revision",
        )


def read_config(path: Path) -> ModelConfig:
    """Reads a JSON object; ModelError(FileNotFound) or (ExportFailed) names the file."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAXIMUM_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"the source has no {path.name}; name a repository or folder that holds one",
        ) from error
    fields = _parse(content)
    if fields is None:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{path.name} is not a JSON object of at most {_MAXIMUM_BYTES} bytes; choose an intact"
            " revision",
        )
    return ModelConfig(fields, path.name)


def _parse(content: bytes) -> dict[str, Any] | None:
    if len(content) > _MAXIMUM_BYTES:
        return None
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
