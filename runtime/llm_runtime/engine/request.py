"""What the engine is asked for and how an answer ends, as immutable values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """Why a request left the engine. The first three are answers, the others are failures."""

    STOP = "stop"
    LENGTH = "length"
    DRAINED = "drained"
    CANCELLED = "cancelled"
    DEADLINE = "deadline"
    SLOW_CLIENT = "slow_client"
    FAILED = "failed"
    ENGINE_DEAD = "engine_dead"

    @property
    def is_answer(self) -> bool:
        """True when what was generated so far is a valid answer."""
        return self in (Ending.STOP, Ending.LENGTH, Ending.DRAINED)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen. Temperature 0 is greedy and makes the other fields irrelevant."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Stopping:
    """When an answer ends, as far as tokens tell. Stop strings are matched on text, by the server.

    Attributes:
        max_new_tokens: at least 1; prompt and answer together fit the context.
        min_new_tokens: `stop_ids` cannot be chosen before this many tokens.
        stop_ids: end-of-sequence and the caller's own stop tokens.
    """

    max_new_tokens: int
    min_new_tokens: int = 0
    stop_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to generate. `id` is unique among the requests that are in the engine."""

    id: str
    prompt: Sequence[int]
    stopping: Stopping
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True)
class End:
    """The last word about a request.

    Attributes:
        why: how it ended.
        stop_id: the token that ended it, for `Ending.STOP`.
        detail: for failures, one sentence without the prompt or the answer.
    """

    why: Ending
    stop_id: int | None = None
    detail: str = ""
