from itertools import pairwise

from bench.load.lengths import Fixed, Uniform
from bench.load.phases import Pause
from bench.load.plan import FIRST_TOKEN_ID, Plan, Shape, read_traces
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 1000), st.integers(0, 10_000), st.integers(1, 50), st.integers(6, 500))
def test_a_number_stands_for_one_request_whatever_else_is_asked(
    seed: int, number: int, length: int, vocabulary: int
) -> None:
    shape = Shape(Uniform(1, 100), Uniform(1, 100), vocabulary, seed)
    wanted = shape.lengths(number), shape.prompt_tokens(number, length)
    shape.lengths(number + 1)
    assert wanted == (shape.lengths(number), shape.prompt_tokens(number, length))


@given(st.integers(0, 10_000), st.integers(1, 200), st.integers(6, 500))
def test_a_prompt_has_its_length_and_known_tokens(
    number: int, length: int, vocabulary: int
) -> None:
    prompt = Shape(vocabulary=vocabulary).prompt_tokens(number, length)
    assert len(prompt) == length
    assert all(FIRST_TOKEN_ID <= token < vocabulary for token in prompt)


def test_clients_send_alike_and_not_in_turns() -> None:
    shape = Shape(clients=4)
    senders = [shape.client(number) for number in range(4000)]
    assert senders == [shape.client(number) for number in range(4000)]
    assert all(900 < senders.count(client) < 1100 for client in range(4))
    assert 900 < sum(a == b for a, b in pairwise(senders)) < 1100


def test_prompts_of_different_numbers_differ() -> None:
    shape = Shape(Fixed(16))
    assert len({tuple(shape.prompt_tokens(number, 16)) for number in range(100)}) == 100


def test_each_phase_has_random_numbers_of_its_own() -> None:
    plan = Plan((Pause(1.0), Pause(1.0)))
    assert plan.random(0).random() == plan.random(0).random()
    assert plan.random(0).random() != plan.random(1).random()


def test_phases_without_a_file_read_none() -> None:
    assert read_traces([Pause(1.0)]) == {}
