"""The text form of phases and distributions, `KIND:key=value,key=value`, and its limits. Pure."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any


class InvalidPlanError(ValueError):
    """What was asked for cannot be run; the message names the field, the limit and the way out."""


def whole(low: int, high: int, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with a whole number in [low, high]."""
    return _limited(int, low, high, default)


def number(low: float, high: float, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with a finite number in [low, high]."""
    return _limited(float, low, high, default)


def path() -> Any:
    """A dataclass field with the name of a file."""
    return field(metadata={"type": str})


def parse(text: str, kinds: Mapping[str, type]) -> Any:
    """Reads `text` as one of `kinds`, dataclasses whose fields are made as above.

    Raises InvalidPlanError, which begins with the text.
    """
    name, _, rest = text.partition(":")
    try:
        if name not in kinds:
            raise InvalidPlanError(f"unknown kind {name!r}; take one of {', '.join(kinds)}")
        return _read(kinds[name], _pairs(rest))
    except InvalidPlanError as error:
        raise InvalidPlanError(f"{text!r}: {error}") from None


def check(name: str, value: float, low: float, high: float) -> None:
    """Raises InvalidPlanError unless low <= value <= high."""
    if not low <= value <= high:
        limits = f"between {low:.10g} and {high:.10g}"
        raise InvalidPlanError(f"{name} is {value:.10g}, it must be {limits}")


def _read(kind: type, pairs: Mapping[str, str]) -> Any:
    fields = {known.name: known for known in dataclasses.fields(kind)}
    unknown = [key for key in pairs if key not in fields]
    if unknown:
        raise InvalidPlanError(f"unknown key {unknown[0]!r}; take one of {', '.join(fields)}")
    missing = [
        known.name
        for known in fields.values()
        if known.default is dataclasses.MISSING and known.name not in pairs
    ]
    if missing:
        raise InvalidPlanError(f"{missing[0]} is missing; add {missing[0]}=…")
    return kind(**{key: _value(fields[key], value) for key, value in pairs.items()})


def _limited(kind: type, low: float, high: float, default: Any) -> Any:
    metadata = {"type": kind, "low": low, "high": high}
    return field(default=default, metadata=metadata)


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if not (key and sign and value):
            raise InvalidPlanError(f"{part!r} is not key=value; separate pairs with commas")
        if key in pairs:
            raise InvalidPlanError(f"{key} is given twice; leave one out")
        pairs[key] = value
    return pairs


def _value(known: "dataclasses.Field[Any]", text: str) -> Any:
    limits = known.metadata
    if limits["type"] is str:
        return text
    try:
        value = limits["type"](text)
    except ValueError:
        wanted = "a whole number" if limits["type"] is int else "a number"
        raise InvalidPlanError(f"{known.name} is {text!r}, not {wanted}") from None
    if not math.isfinite(value):
        raise InvalidPlanError(f"{known.name} is {text!r}, not a finite number")
    check(known.name, value, limits["low"], limits["high"])
    return value
