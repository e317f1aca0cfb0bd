"""Weights lie aligned, one after the other, in shards of bounded size."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.export.weights import Weight, place, total_bytes, write_data


def weight(name: str, count: int) -> Weight:
    values = np.arange(count, dtype=np.float32)
    return Weight(name, (count,), lambda: iter([values[: count // 2], values[count // 2 :]]))


def named(counts: list[int]) -> list[Weight]:
    return [weight(f"w{index}", count) for index, count in enumerate(counts)]


@given(
    counts=st.lists(st.integers(1, 5000), min_size=1, max_size=20),
    shard=st.integers(4096, 40_000),
)
def test_placements_are_aligned_apart_and_inside_their_shards(
    counts: list[int], shard: int
) -> None:
    placements = place(named(counts), shard)
    assert [each.weight.name for each in placements] == [f"w{i}" for i in range(len(counts))]
    assert total_bytes(placements) == 4 * sum(counts)
    for left, right in itertools.pairwise(placements):
        if left.file == right.file:
            assert right.offset >= left.offset + left.weight.size
    for each in placements:
        assert each.offset % 4096 == 0
        assert each.offset == 0 or each.offset + each.weight.size <= shard


def test_shards_are_numbered_after_the_first() -> None:
    assert [each.file for each in place(named([1024] * 3), 4096)] == [
        "model.data",
        "model.data.001",
        "model.data.002",
    ]


def test_the_files_hold_what_the_plan_says(tmp_path: Path) -> None:
    placements = place(named([3, 2000, 7]), 1 << 20)
    reported: list[int] = []
    (file,) = write_data(tmp_path, placements, reported.append)
    content = (tmp_path / "model.data").read_bytes()
    for each in placements:
        stored = content[each.offset : each.offset + each.weight.size]
        assert stored == np.arange(each.weight.shape[0], dtype=np.float32).tobytes()
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.size == len(content) == sum(reported)
