"""Turns tokens into text while they arrive.

Only whole characters come out, and in the end exactly the text of the whole sequence.

A token may end in the middle of a character; what is incomplete is held back until it is complete
or the answer ends.
"""

import codecs
from functools import partial
from typing import Protocol

from llm_runtime.tokenizer.codec import Codec

_utf8 = partial(codecs.getincrementaldecoder("utf-8"), errors="replace")


class TextStream(Protocol):
    """The text of one answer."""

    def feed(self, token: int) -> str:
        """Takes the next token and returns the text that became certain."""

    def flush(self) -> str:
        """Returns the rest; bytes that never became a character turn into U+FFFD."""


def open_stream(codec: Codec, *, keep_special: bool = False) -> TextStream:
    """A stream for one answer; special tokens leave no text unless they are kept."""
    hidden = frozenset() if keep_special else codec.special_ids
    if codec.bytes_of is not None:
        return _ByteStream(codec.bytes_of, hidden)
    return _WindowStream(codec, hidden)


class _ByteStream:
    """Exact for byte-level vocabularies, and a table look-up per token."""

    def __init__(self, bytes_of: dict[int, bytes], hidden: frozenset[int]) -> None:
        self._bytes_of = bytes_of
        self._hidden = hidden
        self._decoder = _utf8()

    def feed(self, token: int) -> str:
        if token in self._hidden:
            return ""
        return self._decoder.decode(self._bytes_of.get(token, b""))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class _WindowStream:
    """For decoders that look at neighbours (SentencePiece's leading space, byte fallback).

    The text of a token is what it adds to the decoded text of a short window before it, so what a
    decoder does at the beginning of a text happens in both and cancels out.
    """

    def __init__(self, codec: Codec, hidden: frozenset[int]) -> None:
        self._codec = codec
        self._hidden = hidden
        self._window: list[int] = []
        self._shown = 0  # tokens of the window whose text was returned
        self._bytes = _utf8()

    def feed(self, token: int) -> str:
        if token in self._hidden:
            return ""
        self._window.append(token)
        return "" if self._is_unfinished(token) else self._show(self._decode(self._window))

    def _is_unfinished(self, token: int) -> bool:
        """True in the middle of a character that is spelled in byte tokens."""
        byte = self._codec.fallback_bytes.get(token)
        if byte is None:
            self._bytes = _utf8()
            return False
        self._bytes.decode(byte)
        return bool(self._bytes.getstate()[0])

    def flush(self) -> str:
        return self._show(self._decode(self._window))

    def _show(self, text: str) -> str:
        before = self._decode(self._window[: self._shown])
        new = text[len(before) :]
        if new:
            self._window = self._window[self._shown :]
            self._shown = len(self._window)
        return new

    def _decode(self, tokens: list[int]) -> str:
        return self._codec.decode(tokens, keep_special=True)
