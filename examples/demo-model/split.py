"""Which inputs are kept out of training: a fixed rule on the input itself, not a stored list.

CRC-32 is used because it is the same on every machine and Python version, unlike `hash`.
"""

import zlib
from enum import StrEnum


class Split(StrEnum):
    """The two halves of every task: what training may draw, and what only evaluation draws."""

    TRAIN = "train"
    HELD_OUT = "held-out"


def split_of(kind: str, *parts: object, one_in: int) -> Split:
    """The split of one input, named by its `kind` and `parts`; about one in `one_in` is held out.

    `kind` keeps the rules of different tasks independent of each other.
    """
    key = "|".join((kind, *map(str, parts)))
    return Split.HELD_OUT if zlib.crc32(key.encode()) % one_in == 0 else Split.TRAIN
