"""Decides what one step computes. Pure: equal arguments give an equal plan.

Every decoding sequence gets its one token in every step. Prompts are cut into chunks that share a
budget, first come first served, so that a long prompt delays the others by one chunk and never by
its length. Waiting requests take free slots in the order of their arrival. A slot holds a whole
context, so nothing that runs ever has to be put back.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Prompt tokens that one step may compute.

    Attributes:
        alone: while nothing decodes, when only the efficiency of the matrix products counts.
        mixed: beside decoding sequences, which wait for the chunk.
    """

    alone: int
    mixed: int


@dataclass(frozen=True, slots=True)
class Running:
    """A sequence in a slot; `pending` tokens are known but not computed (1 while it decodes)."""

    slot: int
    pending: int
    decoding: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request without a slot."""

    id: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The request gets the slot with this step."""

    id: str
    slot: int


@dataclass(frozen=True, slots=True)
class Work:
    """`count` new tokens of the sequence in `slot`."""

    slot: int
    count: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: who moves in, and how many tokens of each slot are computed (ordered by slot)."""

    admissions: tuple[Admission, ...]
    work: tuple[Work, ...]


def schedule(
    running: Sequence[Running], waiting: Sequence[Waiting], free: Sequence[int], budget: Budget
) -> StepPlan:
    """Plans a step.

    Args:
        running: sequences in the order in which they were admitted.
        waiting: requests in the order of their arrival.
        free: free slots, preferred ones first.
        budget: prompt tokens of a step.
    """
    admissions = tuple(
        Admission(request.id, slot) for request, slot in zip(waiting, free, strict=False)
    )
    prefills = [item for item in running if not item.decoding]
    prefills += [
        Running(admitted.slot, request.tokens, decoding=False)
        for admitted, request in zip(admissions, waiting, strict=False)
    ]
    decodes = [Work(item.slot, 1) for item in running if item.decoding]
    chunks = _chunks(prefills, budget.mixed if decodes else budget.alone)
    return StepPlan(admissions, tuple(sorted(decodes + chunks, key=lambda work: work.slot)))


def _chunks(prefills: Sequence[Running], budget: int) -> list[Work]:
    chunks = []
    for item in prefills:
        count = min(item.pending, budget)
        if count == 0:
            break
        chunks.append(Work(item.slot, count))
        budget -= count
    return chunks
