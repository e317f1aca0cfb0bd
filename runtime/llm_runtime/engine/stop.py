"""Ends an answer, by token in the engine and by text in the server."""

from collections.abc import Sequence
from dataclasses import dataclass

from llm_runtime.engine.request import End, Ending, Stopping


def end_after(stopping: Stopping, token: int, produced: int) -> End | None:
    """Says whether the answer ends with `token`, the `produced`-th one (counted from 1)."""
    if token in stopping.stop_ids and produced > stopping.min_new_tokens:
        return End(Ending.STOP, stop_id=token)
    if produced >= stopping.max_new_tokens:
        return End(Ending.LENGTH)
    return None


def banned_before(stopping: Stopping, produced: int) -> frozenset[int]:
    """Ids that cannot follow so few tokens: stop tokens have to wait for min_new_tokens."""
    return stopping.stop_ids if produced < stopping.min_new_tokens else frozenset()


@dataclass(frozen=True, slots=True)
class Matched:
    """What became certain with the last piece of text.

    Attributes:
        text: may be shown now; no part of a stop string that could still be completed is in it.
        stop: the stop string that was completed, after which nothing follows.
    """

    text: str
    stop: str | None = None


class StopMatcher:
    """Finds the stop string that is completed first, however the text is cut into pieces.

    Only the longest end of the text that may still become a stop string is held back, so that a
    stream without a match is not delayed (https://github.com/vllm-project/vllm/issues/13087).
    """

    def __init__(self, stops: Sequence[str], *, include: bool = False) -> None:
        self._stops = tuple(stops)
        self._include = include
        self._held = ""

    def feed(self, piece: str) -> Matched:
        """Takes the next piece of text."""
        if not self._stops:
            return Matched(piece)
        text = self._held + piece
        found = min(filter(None, (_find(text, stop) for stop in self._stops)), default=None)
        if found is not None:
            self._held = ""
            end, start, stop = found
            return Matched(text[: end if self._include else start], stop)
        keep = max(_unfinished(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return Matched(text[: len(text) - keep])

    def flush(self) -> str:
        """Returns what was held back when the answer ended otherwise."""
        held, self._held = self._held, ""
        return held


def _find(text: str, stop: str) -> tuple[int, int, str] | None:
    """(end, start, stop) of the first occurrence; the smallest of these was completed first."""
    start = text.find(stop)
    return None if start < 0 else (start + len(stop), start, stop)


def _unfinished(text: str, stop: str) -> int:
    """Length of the longest end of the text that is a beginning of the stop string."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
