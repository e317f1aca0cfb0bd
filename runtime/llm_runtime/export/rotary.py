"""Rotary position tables: the cosine and sine of every position and frequency.

The arithmetic is done in float32 exactly where transformers does (modeling_rope_utils.py), because
at position 100,000 a frequency's last bit already moves the angle by 0.005.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_runtime.export.config import ModelConfig, unsupported

Table = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Llama 3.1's scaling: long waves are stretched by ``factor``, short ones kept."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context: int


@dataclass(frozen=True, slots=True)
class Rotary:
    """``theta`` is the base of the frequencies; ``linear`` divides all of them."""

    theta: float
    linear: float = 1.0
    llama3: Llama3Scaling | None = None


def read_rotary(config: ModelConfig) -> Rotary:
    """From ``rope_parameters`` (transformers 5) or ``rope_theta`` and ``rope_scaling`` (before).

    Raises ModelError(UnsupportedArchitecture) for other kinds of scaling.
    """
    scaling = config.section("rope_parameters") or config.section("rope_scaling")
    theta = config.number("rope_theta", 10_000.0)
    if scaling is None:
        return Rotary(theta)
    theta = scaling.number("rope_theta", theta)
    if scaling.number("partial_rotary_factor", 1.0) != 1.0:
        raise unsupported(f"{scaling.where}: partial_rotary_factor is not 1")
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    match kind:
        case "default":
            return Rotary(theta)
        case "linear":
            return Rotary(theta, linear=scaling.number("factor"))
        case "llama3":
            return Rotary(theta, llama3=_read_llama3(scaling))
    raise unsupported(f"{scaling.where}: rope_type {kind[:40]!r} is not supported")


def _read_llama3(scaling: ModelConfig) -> Llama3Scaling:
    return Llama3Scaling(
        factor=scaling.number("factor"),
        low_frequency_factor=scaling.number("low_freq_factor"),
        high_frequency_factor=scaling.number("high_freq_factor"),
        original_context=scaling.integer("original_max_position_embeddings"),
    )


def frequencies(rotary: Rotary, head_dim: int) -> Table:
    """Radians per position, float32 [head_dim / 2]."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    inverse = np.float32(1) / np.power(np.float32(rotary.theta), exponents, dtype=np.float32)
    inverse /= np.float32(rotary.linear)
    return inverse if rotary.llama3 is None else _stretch(inverse, rotary.llama3)


def _stretch(inverse: Table, scaling: Llama3Scaling) -> Table:
    wavelengths = 2 * math.pi / inverse
    longest = scaling.original_context / scaling.low_frequency_factor
    shortest = scaling.original_context / scaling.high_frequency_factor
    span = scaling.high_frequency_factor - scaling.low_frequency_factor
    smooth = (scaling.original_context / wavelengths - scaling.low_frequency_factor) / span
    blended = (1 - smooth) * inverse / scaling.factor + smooth * inverse
    stretched = np.where(wavelengths > longest, inverse / scaling.factor, inverse)
    medium = (wavelengths >= shortest) & (wavelengths <= longest)
    return np.where(medium, blended, stretched).astype(np.float32)


def tables(rotary: Rotary, head_dim: int, positions: int) -> tuple[Table, Table]:
    """Cosines and sines, float32 [positions, head_dim / 2] each."""
    steps = np.arange(positions, dtype=np.float32)
    angles = (steps[:, None] * frequencies(rotary, head_dim)[None, :]).astype(np.float64)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
