from bench.load.lanes import Lanes
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 9), max_size=100))
def test_so_many_at_once_use_the_lowest_numbers(steps: list[int]) -> None:
    """Each step gives one of the taken lanes back, or takes one where it names none."""
    lanes, taken = Lanes(), list[int]()
    for step in steps:
        if step < len(taken):
            lanes.give_back(taken.pop(step))
        else:
            lane = lanes.take()
            assert lane == min(set(range(len(taken) + 1)) - set(taken))
            taken.append(lane)
        assert lanes.taken == len(taken)
