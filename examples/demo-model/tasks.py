"""The tasks of the demo model: questions drawn at random, each with its one exact answer.

Every task has a training half and a held-out half that never overlap (`split.py`). `train.py` draws
from the first, `evaluate.py` from the second. What is held out is named in each task's function.
"""

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from random import Random
from types import MappingProxyType
from typing import TypeVar

from number_words import english, french
from split import Split, split_of
from vocabulary import (
    CAPITALS,
    FILLERS,
    MONTHS_ENGLISH,
    MONTHS_FRENCH,
    OPERATIONS,
    PEOPLE,
    PHRASINGS,
    THINGS,
    WORDS,
    Phrasing,
)

Value = TypeVar("Value")


class Task(StrEnum):
    """One row of the score table."""

    NUMBER_TO_FRENCH = "number to French"
    NUMBER_TO_ENGLISH = "number to English"
    DATE_TO_FRENCH = "date to French"
    DATE_TO_ENGLISH = "date to English"
    CODE = "code"
    SUMMARY = "summary"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Example:
    """One question, as a user would type it, and the only answer counted as right."""

    task: Task
    prompt: str
    answer: str


def draw(task: Task, rng: Random, split: Split) -> Example:
    """A random example of `task` from `split`."""
    prompt, answer = _DRAWERS[task](rng, split)
    return Example(task, prompt, answer)


def number_split(number: int) -> Split:
    """Held out: one number in eight from 100 on; all smaller ones are needed to learn the words."""
    return Split.TRAIN if number < 100 else split_of("number", number, one_in=8)


def day_split(month: int, day: int) -> Split:
    """Held out: one day of the year in eight (`month` and `day` count from 1), in every year."""
    return split_of("day", month, day, one_in=8)


def year_split(year: int) -> Split:
    """Held out: one year in eight, with every day."""
    return split_of("year", year, one_in=8)


def name_split(name: str) -> Split:
    """Held out: one variable name in eight, in either place of the function."""
    return split_of("name", name, one_in=8)


def purchase_split(person: str, thing: str) -> Split:
    """Held out: one pair of person and thing in six."""
    return split_of("purchase", person, thing, one_in=6)


def quantity_split(count: int, price: int) -> Split:
    """Held out: one pair of count and price in six."""
    return split_of("quantity", count, price, one_in=6)


def fillers_split(person: str, first: str, second: str) -> Split:
    """Held out: one in six of a person with two sentences beside the point, in either order."""
    return split_of("fillers", person, *sorted((first, second)), one_in=6)


def question_split(phrasing: Phrasing, country: str) -> Split:
    """Held out: one pair of phrasing and country in five.

    Counted, not hashed: of every country at most two of the nine questions about its capital and
    one of the four about the country are held out, so both directions are always learnt.
    """
    countries = [known for known, _ in CAPITALS]
    place = PHRASINGS.index(phrasing) + countries.index(country)
    return Split.HELD_OUT if place % 5 == 0 else Split.TRAIN


def variable_names() -> tuple[str, ...]:
    """All variable names of the code task: single words and pairs joined by an underscore."""
    pairs = (f"{first}_{second}" for first, second in product(WORDS, WORDS) if first != second)
    return (*WORDS, *pairs)


def _number_to_french(rng: Random, split: Split) -> tuple[str, str]:
    number = _number(rng, split)
    return f"Translate to French: {english(number)}", french(number)


def _number_to_english(rng: Random, split: Split) -> tuple[str, str]:
    number = _number(rng, split)
    return f"Translate to English: {french(number)}", english(number)


def _number(rng: Random, split: Split) -> int:
    # Short numbers are few but carry all the words, so they are drawn more often than their share.
    limits = (10_000,) if split is Split.HELD_OUT else (100, 1_000, 1_000, 10_000, 10_000, 10_000)
    return _drawn(lambda: rng.randrange(rng.choice(limits)), lambda n: number_split(n) is split)


def _date_to_french(rng: Random, split: Split) -> tuple[str, str]:
    in_english, in_french = _date(rng, split)
    return f"Translate to French: {in_english}", in_french


def _date_to_english(rng: Random, split: Split) -> tuple[str, str]:
    in_english, in_french = _date(rng, split)
    return f"Translate to English: {in_french}", in_english


def _date(rng: Random, split: Split) -> tuple[str, str]:
    """One date in English and French; in the held-out half both its day and its year are new."""
    year = _drawn(lambda: rng.randint(1900, 2099), lambda y: year_split(y) is split)
    month, day = _drawn(lambda: _day(rng, year), lambda d: day_split(*d) is split)
    ordinal = "1er" if day == 1 else str(day)
    in_english = f"{MONTHS_ENGLISH[month - 1]} {day}, {year}"
    return in_english, f"{ordinal} {MONTHS_FRENCH[month - 1]} {year}"


def _day(rng: Random, year: int) -> tuple[int, int]:
    month = rng.randint(1, 12)
    return month, rng.randint(1, calendar.monthrange(year, month)[1])


def _code(rng: Random, split: Split) -> tuple[str, str]:
    """A function of two arguments; in the held-out half both names are new."""
    operation = rng.choice(OPERATIONS)
    left = _name(rng, split)
    right = _drawn(lambda: _name(rng, split), lambda name: name != left)
    prompt = f"Write Python: a function that {operation.verb} {left} and {right}"
    body = operation.expression.format(left=left, right=right)
    return prompt, f"def {operation.function}({left}, {right}):\n    return {body}"


def _name(rng: Random, split: Split) -> str:
    def any_name() -> str:
        if rng.random() < 0.5:
            return rng.choice(WORDS)
        return f"{rng.choice(WORDS)}_{rng.choice(WORDS)}"

    return _drawn(any_name, lambda name: name_split(name) is split)


def _summary(rng: Random, split: Split) -> tuple[str, str]:
    """A story of four sentences, two of them beside the point, told again in one.

    In the held-out half the purchase, its quantities and the other sentences around the person are
    all new.
    """
    person, thing = _drawn(
        lambda: (rng.choice(PEOPLE), rng.choice(THINGS)), lambda p: purchase_split(*p) is split
    )
    count, price = _drawn(
        lambda: (rng.randint(2, 99), rng.randint(2, 99)), lambda q: quantity_split(*q) is split
    )
    sentences = [f"{person} bought {count} {thing}.", f"The price was {price} euros."]
    fillers = _drawn(lambda: rng.sample(FILLERS, 2), lambda f: fillers_split(person, *f) is split)
    for filler in fillers:
        sentences.insert(rng.randint(0, len(sentences)), filler)
    return (
        f"Summarize: {' '.join(sentences)}",
        f"{person} bought {count} {thing} for {price} euros.",
    )


def _chat(rng: Random, split: Split) -> tuple[str, str]:
    phrasing, (country, capital) = _drawn(
        lambda: (rng.choice(PHRASINGS), rng.choice(CAPITALS)),
        lambda pair: question_split(pair[0], pair[1][0]) is split,
    )
    asked = phrasing.question.format(country=country, capital=capital)
    return asked, phrasing.answer.format(country=country, capital=capital)


def _drawn(draw_one: Callable[[], Value], is_wanted: Callable[[Value], bool]) -> Value:
    """The first value drawn that is wanted."""
    while not is_wanted(value := draw_one()):
        pass
    return value


_DRAWERS: MappingProxyType[Task, Callable[[Random, Split], tuple[str, str]]] = MappingProxyType(
    {
        Task.NUMBER_TO_FRENCH: _number_to_french,
        Task.NUMBER_TO_ENGLISH: _number_to_english,
        Task.DATE_TO_FRENCH: _date_to_french,
        Task.DATE_TO_ENGLISH: _date_to_english,
        Task.CODE: _code,
        Task.SUMMARY: _summary,
        Task.CHAT: _chat,
    }
)
