"""The activator's benchmark: a short run measures everything and leaves nothing behind."""

from pathlib import Path

import pytest
from bench.activator import WAYS, measure


def children() -> set[str]:
    """Process ids of this process's children."""
    files = Path("/proc/self/task").glob("*/children")
    return {pid for file in files for pid in file.read_text().split()}


@pytest.mark.timeout(90)
async def test_a_short_run_measures_every_way_and_leaves_no_process() -> None:
    before = children()

    stage = await measure(rounds=1, scale=0.1)

    assert set(stage.unary) == set(stage.message) == set(WAYS)
    found = {figure.name: figure for figure in stage.figures()}
    assert found["8 streams: messages per core"].value > 100
    assert found["8 streams: messages per core"].peers["bare pass-through"] > 100
    assert [figure.target for figure in found.values()].count(10_000) == 2
    assert children() == before
