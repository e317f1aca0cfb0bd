"""Endless training batches of conversations with similar lengths."""

from collections.abc import Iterator
from random import Random

import torch
from chat_tokenizer import IGNORED, encoded
from conversations import training_conversation
from transformers import PreTrainedTokenizerFast

Row = tuple[list[int], list[int]]

_POOL = 16


def batches(
    tokenizer: PreTrainedTokenizerFast, rng: Random, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and labels, both int64 of shape (size, longest row), padded on the right.

    Conversations are drawn for several batches at once and sorted by length, so that little of a
    batch is padding.
    """
    while True:
        rows = [encoded(tokenizer, training_conversation(rng)) for _ in range(size * _POOL)]
        rows.sort(key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), size))
        rng.shuffle(starts)
        for start in starts:
            yield _padded(rows[start : start + size], tokenizer.pad_token_id)


def _padded(rows: list[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in rows])
    return ids, labels
