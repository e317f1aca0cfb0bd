"""How much is held, and how much more may be. Pure: it counts, and nothing else."""

from dataclasses import dataclass, field
from enum import StrEnum

MEBIBYTE = 1 << 20


class Shortage(StrEnum):
    """Which bound refuses a call."""

    CALLS = "calls"
    BYTES = "bytes"
    TOTAL_BYTES = "total_bytes"


@dataclass(slots=True)
class Memory:
    """Bytes held by the process for all LLMDeployments together."""

    limit: int = 192 * MEBIBYTE
    used: int = 0


@dataclass(slots=True)
class Room:
    """The calls that are held for one LLMDeployment, and their bytes."""

    max_calls: int = 1000
    max_bytes: int = 64 * MEBIBYTE
    memory: Memory = field(default_factory=Memory)
    calls: int = 0
    bytes: int = 0

    def enter(self, size: int) -> Shortage | None:
        """Takes one call of `size` bytes in, or says why not and changes nothing."""
        if self.calls >= self.max_calls:
            return Shortage.CALLS
        shortage = self.grow(size)
        if shortage is None:
            self.calls += 1
        return shortage

    def grow(self, size: int) -> Shortage | None:
        """Takes `size` more bytes of a call that is held, or says why not and changes nothing."""
        if self.bytes + size > self.max_bytes:
            return Shortage.BYTES
        if self.memory.used + size > self.memory.limit:
            return Shortage.TOTAL_BYTES
        self.bytes += size
        self.memory.used += size
        return None

    def leave(self, size: int) -> None:
        """Lets one call go, with all the bytes that were taken for it."""
        self.calls -= 1
        self.bytes -= size
        self.memory.used -= size
