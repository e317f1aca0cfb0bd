"""Decides at once whether a request may wait.

Pure: the server would rather refuse now than let everybody wait longer.
"""

from dataclasses import dataclass
from enum import StrEnum

from llm_runtime.engine.batch import Load

_SHORTEST_HINT_MS = 500
_LONGEST_HINT_MS = 30_000


class Reason(StrEnum):
    """Which bound was reached."""

    QUEUE_FULL = "queue_full"
    QUEUED_TOKENS = "queued_tokens"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait.

    Attributes:
        slots: sequences that run at the same time.
        max_queue: requests that may wait for a slot.
        max_queued_tokens: prompt tokens of waiting requests together.
    """

    slots: int
    max_queue: int
    max_queued_tokens: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why not, in a sentence, and when it is worth another try."""

    reason: Reason
    message: str
    retry_after_ms: int


def check_room(load: Load, bounds: Bounds) -> Rejection | None:
    """Returns None when there is a slot or a place in the queue for one more request.

    This needs no prompt, so a full queue refuses before anybody has worked on it.
    """
    queue = _queue(load, bounds)
    if queue < 0 or queue < bounds.max_queue:
        return None
    hint = _retry_hint(queue, bounds.slots)
    message = f"The queue is full: {bounds.max_queue} requests may wait, retry in {hint} ms"
    return Rejection(Reason.QUEUE_FULL, message, hint)


def admit(load: Load, prompt_tokens: int, bounds: Bounds) -> Rejection | None:
    """Returns None when the request may be submitted.

    A request that finds a free slot does not wait, so max_queue 0 means "run now or be refused";
    the first one to wait may do so however long its prompt is.
    """
    full = check_room(load, bounds)
    queue = _queue(load, bounds)
    if full is not None or queue < 0:
        return full
    if queue and load.tokens_queued + prompt_tokens > bounds.max_queued_tokens:
        hint = _retry_hint(queue, bounds.slots)
        message = (
            f"The queue holds {load.tokens_queued} prompt tokens, {prompt_tokens} more exceed"
            f" {bounds.max_queued_tokens}: retry in {hint} ms or send a shorter prompt"
        )
        return Rejection(Reason.QUEUED_TOKENS, message, hint)
    return None


def _queue(load: Load, bounds: Bounds) -> int:
    """Requests that wait without a slot to take; below 0 while a slot is free for one more."""
    return load.waiting - (bounds.slots - load.running)


def _retry_hint(queue: int, slots: int) -> int:
    """Milliseconds; grows with the rounds of slots that are ahead."""
    return min(_LONGEST_HINT_MS, _SHORTEST_HINT_MS * (1 + queue // slots))
