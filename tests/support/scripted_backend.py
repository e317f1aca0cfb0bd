"""A backend without a model, for tests of everything above it.

The next token is a function of the tokens in the slot's cache alone, so a wrong cache row, a mixed-
up slot or a token computed twice changes the answer.
"""

from collections.abc import Callable

import numpy as np

from llm_runtime.backend.base import BackendError, CacheShape, StepInput, StepOutput, StepRow

Rule = Callable[[tuple[int, ...]], int]


def checksum(vocabulary: int) -> Rule:
    """A rule whose token depends on every token before it and on their order."""

    def rule(tokens: tuple[int, ...]) -> int:
        state = 17
        for token in tokens:
            state = (state * 31 + token + 1) % 1_000_003
        return state % vocabulary

    return rule


class ScriptedBackend:
    """Follows a rule.

    Checks what a real one would suffer from: gaps in a cache, slots out of range, overflow.
    """

    def __init__(self, shape: CacheShape, vocabulary: int, rule: Rule | None = None) -> None:
        self._shape = shape
        self._vocabulary = vocabulary
        self._rule = rule or checksum(vocabulary)
        self._caches: dict[int, list[int]] = {}
        self.steps: list[StepInput] = []

    def load(self) -> None:
        """Nothing to load."""

    def step(self, step: StepInput) -> StepOutput:
        """Appends the rows to their caches and applies the rule.

        Raises BackendError for an impossible step.
        """
        self.steps.append(step)
        slots = [row.slot for row in step.rows]
        if not slots or slots != sorted(set(slots)) or slots[-1] >= self._shape.slots:
            raise BackendError(f"rows are not in the order of distinct slots: {slots}")
        for row in step.rows:
            self._write(row)
        wanted = [row.slot for row in step.rows if row.wants_logits]
        logits = np.zeros((len(wanted), self._vocabulary), np.float32)
        for index, slot in enumerate(wanted):
            logits[index, self._rule(tuple(self._caches[slot]))] = 1.0
        return StepOutput(logits)

    def close(self) -> None:
        """Nothing to free."""

    def _write(self, row: StepRow) -> None:
        if not 1 <= len(row.tokens) <= self._shape.chunk:
            raise BackendError(f"slot {row.slot} got {len(row.tokens)} tokens in one step")
        cache = self._caches[row.slot] = self._caches.get(row.slot, [])[: row.start]
        if len(cache) != row.start:
            raise BackendError(f"slot {row.slot} holds {len(cache)} tokens, not {row.start}")
        cache.extend(row.tokens)
        if len(cache) > self._shape.context:
            raise BackendError(f"slot {row.slot} overflows the context")
