"""How much is kept, and how much more may be. Pure: it counts, and nothing else."""

from dataclasses import dataclass, field
from enum import StrEnum

MEBIBYTE = 1 << 20
CALL_BYTES = 32 << 10
"""What a call costs beside its messages: tasks here, a stream and its buffers in gRPC (27 KB)."""


class Shortage(StrEnum):
    """Which bound refuses a call."""

    CALLS = "calls"
    BYTES = "bytes"
    TOTAL_BYTES = "total_bytes"


@dataclass(slots=True)
class Memory:
    """Bytes of all calls of the process, held or forwarded."""

    limit: int = 192 * MEBIBYTE
    used: int = 0

    def take(self, size: int) -> bool:
        """Takes so many bytes, or says that there are not as many and changes nothing."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Gives so many back."""
        self.used -= size


@dataclass(slots=True)
class Room:
    """The calls that are held for one LLMDeployment, and the bytes of their requests."""

    max_calls: int = 1000
    max_bytes: int = 64 * MEBIBYTE
    calls: int = 0
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Claim:
    """What one call takes: of the memory while it is here, of the room while it is held."""

    memory: Memory
    room: Room
    size: int = 0
    """Bytes of its request that are here."""
    shortage: Shortage | None = None
    """What was missing when it last asked for more."""
    _is_open: bool = field(default=False, init=False)
    _is_held: bool = field(default=False, init=False)

    def open(self) -> bool:
        """The call has come; False: there is no memory for it."""
        self._is_open = self._judge(None if self.memory.take(CALL_BYTES) else Shortage.TOTAL_BYTES)
        return self._is_open

    def hold(self) -> bool:
        """The call waits from now on; False: it may not."""
        if self.room.calls >= self.room.max_calls:
            return self._judge(Shortage.CALLS)
        if self.room.bytes + self.size > self.room.max_bytes:
            return self._judge(Shortage.BYTES)
        self.room.calls += 1
        self.room.bytes += self.size
        self._is_held = True
        return self._judge(None)

    def go_on(self) -> None:
        """The call waits no more."""
        if self._is_held:
            self._is_held = False
            self.room.calls -= 1
            self.room.bytes -= self.size

    def add(self, size: int) -> bool:
        """A message of `size` bytes has come; False: it may not be kept."""
        if self._is_held and self.room.bytes + size > self.room.max_bytes:
            return self._judge(Shortage.BYTES)
        if not self.memory.take(size):
            return self._judge(Shortage.TOTAL_BYTES)
        self._count(size)
        return True

    def drop(self, size: int) -> None:
        """Messages of `size` bytes are not kept any more."""
        self.memory.give(size)
        self._count(-size)

    def close(self) -> None:
        """The call is over; whatever it had is given back."""
        self.go_on()
        if self._is_open:
            self._is_open = False
            self.memory.give(self.size + CALL_BYTES)
            self.size = 0

    def _count(self, size: int) -> None:
        self.size += size
        if self._is_held:
            self.room.bytes += size

    def _judge(self, shortage: Shortage | None) -> bool:
        self.shortage = shortage
        return shortage is None
