"""Training conversations: one to four questions of any task, sometimes after a system message.

Several questions in a row and system messages are trained so that a chat with history works as well
as a single question.
"""

from random import Random
from types import MappingProxyType
from typing import TypeAlias

from split import Split
from tasks import Task, draw
from vocabulary import GREETINGS, INTRODUCTION, SYSTEM_SENTENCES

Message: TypeAlias = dict[str, str]

# Shares of the questions: numbers have the most to learn.
_WEIGHTS = MappingProxyType(
    {
        Task.NUMBER_TO_FRENCH: 18,
        Task.NUMBER_TO_ENGLISH: 18,
        Task.DATE_TO_FRENCH: 8,
        Task.DATE_TO_ENGLISH: 8,
        Task.CODE: 18,
        Task.SUMMARY: 16,
        Task.CHAT: 16,
    }
)
_GREETING_SHARE = 0.01
_SYSTEM_SHARE = 0.15
_TURN_WEIGHTS = (50, 25, 15, 10)
_LOWER_CASE_SHARE = 0.3


def training_conversation(rng: Random) -> list[Message]:
    """Messages with the keys `role` and `content`, ending with an answer; no held-out input."""
    turns = rng.choices((1, 2, 3, 4), _TURN_WEIGHTS)[0]
    messages = system_message(rng) if rng.random() < _SYSTEM_SHARE else []
    for _ in range(turns):
        messages += exchange(*_question(rng))
    return messages


def exchange(prompt: str, answer: str) -> list[Message]:
    """One question and its answer as messages."""
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def system_message(rng: Random) -> list[Message]:
    """A system message of one or two sentences, as the only item of a list."""
    sentences = rng.sample(SYSTEM_SENTENCES, rng.randint(1, 2))
    return [{"role": "system", "content": " ".join(sentences)}]


def _question(rng: Random) -> tuple[str, str]:
    if rng.random() < _GREETING_SHARE:
        return rng.choice(GREETINGS), INTRODUCTION
    task = rng.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))[0]
    example = draw(task, rng, Split.TRAIN)
    return _in_any_case(rng, example.prompt), example.answer


def _in_any_case(rng: Random, prompt: str) -> str:
    """People also start a prompt without a capital letter."""
    return prompt[0].lower() + prompt[1:] if rng.random() < _LOWER_CASE_SHARE else prompt
