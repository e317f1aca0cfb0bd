import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.engine.kv import SlotTable, SlotTableError


def test_the_lowest_free_slot_comes_first() -> None:
    table = SlotTable(3)
    table.take(0)
    table.take(1)
    table.release(0)
    assert table.free == (0, 2)


def test_a_released_slot_starts_empty_again() -> None:
    table = SlotTable(1)
    table.take(0)
    table.extend(0, 7)
    table.release(0)
    table.take(0)
    assert table.length(0) == 0


def test_tokens_held_are_those_of_taken_slots() -> None:
    table = SlotTable(2)
    table.take(0)
    table.take(1)
    table.extend(0, 3)
    table.extend(1, 4)
    table.release(0)
    assert table.tokens_held == 4


def test_a_taken_slot_cannot_be_taken_again() -> None:
    table = SlotTable(1)
    table.take(0)
    with pytest.raises(SlotTableError, match="slot 0 is not free"):
        table.take(0)


def test_a_slot_cannot_be_released_twice() -> None:
    table = SlotTable(1)
    with pytest.raises(SlotTableError, match="slot 0 is not taken"):
        table.release(0)


def test_a_slot_that_no_sequence_owns_is_found() -> None:
    table = SlotTable(2)
    table.take(1)
    with pytest.raises(SlotTableError, match="taken are \\[1\\]"):
        table.check_integrity([])


@given(st.lists(st.integers(0, 4)))
def test_no_order_of_taking_and_releasing_loses_a_slot(slots: list[int]) -> None:
    table = SlotTable(5)
    taken: set[int] = set()
    for slot in slots:
        if slot in taken:
            table.release(slot)
        else:
            table.take(slot)
        taken ^= {slot}
        table.check_integrity(taken)
        assert set(table.free) == set(range(5)) - taken
