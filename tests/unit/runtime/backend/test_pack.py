import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.backend.base import StepRow
from llm_runtime.backend.ort import pack
from llm_runtime.export import layout as names


def test_a_mixed_step_is_laid_out_as_the_graph_wants_it() -> None:
    rows = [
        StepRow(slot=2, start=5, tokens=[11], wants_logits=True),
        StepRow(slot=4, start=0, tokens=[21, 22, 23], wants_logits=False),
    ]
    packed = pack(rows, capacity=64)
    assert (packed.low, packed.high, packed.wanted) == (2, 5, 1)
    assert packed.arrays[names.IDS].tolist() == [11, 21, 22, 23]
    assert packed.arrays[names.QUERY_INDEX].tolist() == [[0, 0, 0], [0, 0, 0], [1, 2, 3]]
    assert packed.arrays[names.OUTPUT_INDEX].tolist() == [0, 6, 7, 8]
    assert packed.arrays[names.LOGITS_INDEX].tolist() == [0]
    assert packed.arrays[names.LENGTHS].tolist() == [5, 0, 2]
    assert packed.arrays[names.QUERY_LENGTHS].tolist() == [1, 0, 3]
    assert packed.arrays[names.CAPACITY].tolist() == 64


@given(
    st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 9), st.integers(1, 6)), min_size=1)
)
def test_gathering_to_rows_and_back_gives_every_token_its_place(
    sizes: dict[int, tuple[int, int]],
) -> None:
    rows = [
        StepRow(slot, start, [100 * slot + index for index in range(count)], wants_logits=True)
        for slot, (start, count) in sorted(sizes.items())
    ]
    arrays = pack(rows, capacity=32).arrays
    ids, to_rows = arrays[names.IDS], arrays[names.QUERY_INDEX]
    there = ids[to_rows]
    np.testing.assert_array_equal(there.reshape(-1)[arrays[names.OUTPUT_INDEX]], ids)
    for row in rows:
        line = there[row.slot - rows[0].slot]
        assert line[: len(row.tokens)].tolist() == list(row.tokens)
    last = ids[arrays[names.LOGITS_INDEX]]
    assert last.tolist() == [row.tokens[-1] for row in rows]
