"""Which slots of the caches are taken and how many tokens each holds.

The caches themselves are the backend's.
"""

from bisect import insort
from collections.abc import Iterable


class SlotTableError(Exception):
    """The table contradicts itself or the engine: a bug, after which no answer could be trusted."""


class SlotTable:
    """Slots of equal size; the lowest free one comes first, which keeps the bound range short."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free = list(range(slots))
        self._lengths: dict[int, int] = {}

    @property
    def free(self) -> tuple[int, ...]:
        """Free slots, lowest first."""
        return tuple(self._free)

    @property
    def tokens_held(self) -> int:
        """Tokens in the caches of taken slots."""
        return sum(self._lengths.values())

    def length(self, slot: int) -> int:
        """Tokens in the slot's cache."""
        return self._lengths[slot]

    def take(self, slot: int) -> None:
        """Takes a free slot, empty."""
        if slot not in self._free:
            raise SlotTableError(f"slot {slot} is not free")
        self._free.remove(slot)
        self._lengths[slot] = 0

    def extend(self, slot: int, tokens: int) -> None:
        """Notes that a step added tokens to the slot."""
        self._lengths[slot] += tokens

    def release(self, slot: int) -> None:
        """Gives a slot back; what is in its cache is forgotten."""
        if self._lengths.pop(slot, None) is None:
            raise SlotTableError(f"slot {slot} is not taken")
        insort(self._free, slot)

    def check_integrity(self, owned: Iterable[int]) -> None:
        """Raises SlotTableError unless `owned` are the taken slots and every slot exists once."""
        taken = sorted(owned)
        if taken != sorted(self._lengths):
            raise SlotTableError(f"sequences own slots {taken}, taken are {sorted(self._lengths)}")
        if sorted([*self._free, *self._lengths]) != list(range(self._slots)):
            raise SlotTableError("a slot is lost or there twice")
