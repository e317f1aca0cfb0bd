"""One request from its due time to its end. Pure; the clock is the caller's."""

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What became of a request; each has exactly one.

    ANSWERED: the whole answer came. ABORTED: the server ended it at its drain's limit.
    FAILED: a gRPC error. CANCELLED: this side gave it up, because the run was stopped.
    LOST: neither an answer nor an error: the call ended well without its last message or with
    tokens missing, or it was still open after its own deadline had passed.
    """

    ANSWERED = "answered"
    ABORTED = "aborted"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class End:
    """How a request ended.

    code: the gRPC status of a failed one. retry_after: seconds that the server asked for.
    """

    fate: Fate
    code: str = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Objective:
    """What a good answer is: its first token and its mean inter-token time within so many seconds.

    Infinity sets no limit.
    """

    first_token: float = float("inf")
    inter_token: float = float("inf")


NO_OBJECTIVE = Objective()


@dataclass(slots=True)
class Course:
    """A request on its way; times are seconds of one clock.

    due: when the schedule wanted it, which latencies count from: a generator that comes late must
    not make the server look fast.
    """

    wanted: int
    due: float
    sent: float
    first: float = 0.0
    latest: float = 0.0
    tokens: int = 0

    def grow(self, count: int, now: float) -> float:
        """Notes new tokens; returns the mean seconds between each and its forerunner, 0 for the
        first message's."""
        before, begun = self.latest, self.tokens > 0
        self.latest = now
        self.tokens += count
        if not begun:
            self.first = now
            return 0.0
        return (now - before) / count

    @property
    def first_token_seconds(self) -> float:
        """From the due time to the first token."""
        return self.first - self.due

    @property
    def inter_token_seconds(self) -> float:
        """Mean over the answer; 0 for a single token."""
        return (self.latest - self.first) / (self.tokens - 1) if self.tokens > 1 else 0.0

    def is_good(self, objective: Objective) -> bool:
        """Whether a whole answer was within the objective."""
        return (
            self.first_token_seconds <= objective.first_token
            and self.inter_token_seconds <= objective.inter_token
        )


def end_of_stream(reported: int, received: int, *, was_aborted: bool) -> End:
    """What a last message means.

    Args:
        reported: output tokens as it says.
        received: tokens that came.
        was_aborted: it says that the server ended the answer early.
    """
    if reported != received:
        return End(Fate.LOST)
    return End(Fate.ABORTED if was_aborted else Fate.ANSWERED)
