"""The text of one answer, made from its tokens piece by piece."""

from dataclasses import dataclass

from llm_runtime.engine.channel import Delivery
from llm_runtime.engine.request import End, Ending
from llm_runtime.engine.stop import StopMatcher
from llm_runtime.server.parse import TextOptions
from llm_runtime.tokenizer.stream import TextStream


@dataclass(frozen=True, slots=True)
class Finish:
    """How the answer ended, and which token or text did it."""

    why: Ending
    output_tokens: int
    stop_id: int | None = None
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one delivery added."""

    text: str
    token_ids: tuple[int, ...]
    finish: Finish | None = None


class Answer:
    """Follows one answer. Nothing may be taken after a piece with a finish."""

    def __init__(self, stream: TextStream, options: TextOptions) -> None:
        self._stream = stream
        self._matcher = StopMatcher(options.stop_strings, include=options.include_stop_string)
        self._min_new_tokens = options.min_new_tokens
        self._count = 0

    def take(self, delivery: Delivery) -> Piece:
        """Turns a delivery into text. Ends that are not answers are the caller's business."""
        text: list[str] = []
        end = delivery.end
        for index, token in enumerate(delivery.tokens):
            self._count += 1
            if end is not None and end.stop_id == token and index == len(delivery.tokens) - 1:
                continue  # the token that says "over" says nothing else
            stop = self._extend(text, self._stream.feed(token))
            if stop is not None:
                finish = Finish(Ending.STOP, self._count, stop_string=stop)
                return Piece("".join(text), delivery.tokens[: index + 1], finish)
        if end is None:
            return Piece("".join(text), delivery.tokens)
        return self._last(text, delivery.tokens, end)

    def _last(self, text: list[str], tokens: tuple[int, ...], end: End) -> Piece:
        """Lets go of what was held back; a stop string may still be completed by it."""
        stop = self._extend(text, self._stream.flush())
        if stop is not None:
            return Piece("".join(text), tokens, Finish(Ending.STOP, self._count, stop_string=stop))
        text.append(self._matcher.flush())
        return Piece("".join(text), tokens, Finish(end.why, self._count, stop_id=end.stop_id))

    def _extend(self, text: list[str], piece: str) -> str | None:
        """Adds what may be shown; returns the stop string that was completed."""
        if self._count < self._min_new_tokens:
            text.append(piece)
            return None
        matched = self._matcher.feed(piece)
        text.append(matched.text)
        return matched.stop
