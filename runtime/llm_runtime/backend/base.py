"""What the engine needs from a backend: a packed step over slots, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class BackendError(Exception):
    """The computation failed; nothing in the caches can be trusted any more."""


@dataclass(frozen=True, slots=True)
class CacheShape:
    """Room for sequences.

    Attributes:
        slots: sequences at a time.
        context: tokens that one sequence may have, prompt and answer together.
        chunk: most new tokens of one sequence in one step. The caches are longer by it, because
            rows are padded to it.
    """

    slots: int
    context: int
    chunk: int

    @property
    def capacity(self) -> int:
        """Rows of one slot's caches."""
        return self.context + self.chunk


@dataclass(frozen=True, slots=True)
class StepRow:
    """New tokens of one slot.

    Attributes:
        slot: index of the slot.
        start: tokens of the sequence that are in the slot's cache already; 0 makes the slot's
            old content irrelevant.
        tokens: new token ids, at least one.
        wants_logits: whether the logits after the last of them are wanted.
    """

    slot: int
    start: int
    tokens: Sequence[int]
    wants_logits: bool = True


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step: at least one row, ordered by slot, each slot at most once."""

    rows: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True)
class StepOutput:
    """Logits [rows that want them, vocabulary] in the rows' order, valid until the next step."""

    logits: NDArray[np.float32]


class Backend(Protocol):
    """A loaded or loadable model with its caches. Used by one thread at a time."""

    def load(self) -> None:
        """Makes the model ready to step. Raises BackendError."""

    def step(self, step: StepInput) -> StepOutput:
        """Computes a step and writes the rows' caches. Raises BackendError."""

    def close(self) -> None:
        """Frees the model."""
