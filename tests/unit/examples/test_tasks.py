# ruff: noqa: S311 - draws must repeat, so they come from seeds
import calendar
import re
from collections.abc import Callable
from random import Random

import pytest
from conversations import training_conversation
from hypothesis import given
from hypothesis import strategies as st
from number_words import english, french
from split import Split
from tasks import (
    Example,
    Task,
    day_split,
    draw,
    fillers_split,
    name_split,
    number_split,
    purchase_split,
    quantity_split,
    question_split,
    variable_names,
    year_split,
)
from vocabulary import CAPITALS, FILLERS, MONTHS_ENGLISH, MONTHS_FRENCH, OPERATIONS, PHRASINGS

SEEDS = st.integers(0, 2**32)
TASKS = st.sampled_from(list(Task))
NUMBERS = {words(n): n for n in range(10_000) for words in (english, french)}


def groups(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    assert found, text
    return found.groups()


def number_of(example: Example) -> int:
    return NUMBERS[example.prompt.split(": ")[1]]


def date_of(example: Example) -> tuple[int, int, int]:
    """Year, month and day, read back from the date in English."""
    texts = (example.prompt.split(": ")[1], example.answer)
    in_english = next(text for text in texts if text[0].isupper())
    month, day, year = groups(r"(\w+) (\d+), (\d+)", in_english)
    return int(year), MONTHS_ENGLISH.index(month) + 1, int(day)


def names_of(example: Example) -> tuple[str, str]:
    left, right = groups(r"\((\w+), (\w+)\):", example.answer)
    return left, right


def splits_of_number(example: Example) -> set[Split]:
    return {number_split(number_of(example))}


def splits_of_date(example: Example) -> set[Split]:
    year, month, day = date_of(example)
    return {year_split(year), day_split(month, day)}


def splits_of_code(example: Example) -> set[Split]:
    return {name_split(name) for name in names_of(example)}


def splits_of_summary(example: Example) -> set[Split]:
    pattern = r"(\w+) bought (\d+) (\w+) for (\d+) euros\."
    person, count, thing, price = groups(pattern, example.answer)
    first, second = (filler for filler in FILLERS if filler in example.prompt)
    return {
        purchase_split(person, thing),
        quantity_split(int(count), int(price)),
        fillers_split(person, first, second),
    }


def splits_of_chat(example: Example) -> set[Split]:
    return {
        question_split(phrasing, country)
        for phrasing in PHRASINGS
        for country, capital in CAPITALS
        if phrasing.question.format(country=country, capital=capital) == example.prompt
    }


READERS: dict[Task, Callable[[Example], set[Split]]] = {
    Task.NUMBER_TO_FRENCH: splits_of_number,
    Task.NUMBER_TO_ENGLISH: splits_of_number,
    Task.DATE_TO_FRENCH: splits_of_date,
    Task.DATE_TO_ENGLISH: splits_of_date,
    Task.CODE: splits_of_code,
    Task.SUMMARY: splits_of_summary,
    Task.CHAT: splits_of_chat,
}


@given(TASKS, SEEDS, st.sampled_from(list(Split)))
def test_everything_in_an_example_belongs_to_its_split(task: Task, seed: int, split: Split) -> None:
    example = draw(task, Random(seed), split)

    assert READERS[task](example) == {split}


@pytest.mark.parametrize("task", Task)
def test_no_held_out_question_is_ever_drawn_for_training(task: Task) -> None:
    rng = Random(7)
    held_out = {draw(task, rng, Split.HELD_OUT).prompt for _ in range(2_000)}
    training = {draw(task, rng, Split.TRAIN).prompt for _ in range(10_000)}

    assert not held_out & training


def test_training_conversations_hold_no_held_out_question_in_any_letter_case() -> None:
    rng = Random(11)
    conversations = [training_conversation(rng) for _ in range(10_000)]
    asked = {
        message["content"].lower()
        for messages in conversations
        for message in messages
        if message["role"] == "user"
    }
    held_out = {
        draw(task, rng, Split.HELD_OUT).prompt.lower() for task in Task for _ in range(1_000)
    }

    assert not held_out & asked


@given(SEEDS)
def test_a_conversation_alternates_after_at_most_one_system_message(seed: int) -> None:
    roles = [message["role"] for message in training_conversation(Random(seed))]
    turns = roles[1:] if roles[0] == "system" else roles

    assert turns == ["user", "assistant"] * (len(turns) // 2)
    assert 1 <= len(turns) // 2 <= 4


@given(SEEDS)
def test_a_seed_always_draws_the_same_conversation(seed: int) -> None:
    assert training_conversation(Random(seed)) == training_conversation(Random(seed))


@given(st.sampled_from([Task.NUMBER_TO_FRENCH, Task.NUMBER_TO_ENGLISH]), SEEDS)
def test_a_number_keeps_its_value_in_translation(task: Task, seed: int) -> None:
    example = draw(task, Random(seed), Split.HELD_OUT)

    assert NUMBERS[example.answer] == number_of(example)


@given(st.sampled_from([Task.DATE_TO_FRENCH, Task.DATE_TO_ENGLISH]), SEEDS)
def test_a_date_exists_and_keeps_its_day_in_translation(task: Task, seed: int) -> None:
    example = draw(task, Random(seed), Split.TRAIN)
    year, month, day = date_of(example)
    in_french = f"{'1er' if day == 1 else day} {MONTHS_FRENCH[month - 1]} {year}"

    assert in_french in (example.prompt.split(": ")[1], example.answer)
    assert day <= calendar.monthrange(year, month)[1]


@given(SEEDS)
def test_a_function_does_what_was_asked(seed: int) -> None:
    example = draw(Task.CODE, Random(seed), Split.HELD_OUT)
    operation = next(o for o in OPERATIONS if f"that {o.verb} " in example.prompt)
    expected = {"add": 11, "subtract": 5, "multiply": 24, "divide": 8 / 3, "larger": 8}
    names: dict[str, Callable[[int, int], float]] = {}
    exec(example.answer, names)  # noqa: S102 - our own text, and running it is the point

    assert names[operation.function](8, 3) == pytest.approx(expected.get(operation.function, 3))


@pytest.mark.parametrize("task", Task)
def test_every_task_has_enough_held_out_questions_to_score(task: Task) -> None:
    rng = Random(3)

    assert len({draw(task, rng, Split.HELD_OUT).prompt for _ in range(3_000)}) >= 50


def test_every_country_is_learnt_in_both_directions() -> None:
    for country, _ in CAPITALS:
        learnt = {p.answer for p in PHRASINGS if question_split(p, country) is Split.TRAIN}
        assert learnt == {p.answer for p in PHRASINGS}


def test_one_variable_name_in_eight_is_held_out() -> None:
    names = variable_names()
    held_out = sum(name_split(name) is Split.HELD_OUT for name in names)

    assert 0.1 < held_out / len(names) < 0.15
