"""Another process's clock beside ours, found from when its messages come. Pure.

What a busy pod says comes late, and not always equally late. The message that came fastest tells
how far its clock is from ours, and that tells how old every other message was when it came.
"""

from dataclasses import dataclass

DRIFT = 1e-4
"""By so much two clocks may part: a fastest message of long ago proves less and less. Quartz is
ten times better."""


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Our seconds minus theirs, as far as messages prove it."""

    seconds: float
    at: float
    """Our clock at the last message."""

    @classmethod
    def first(cls, ours: float, theirs: float) -> "ClockOffset":
        """From the first message: as if it had taken no time."""
        return cls(ours - theirs, ours)

    def see(self, ours: float, theirs: float) -> "ClockOffset":
        """With a message of `theirs` that came at `ours`."""
        known = self.seconds + DRIFT * (ours - self.at)
        return ClockOffset(min(ours - theirs, known), ours)

    def ours(self, theirs: float) -> float:
        """Our time at that moment of their clock."""
        return theirs + self.seconds
