import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_client.prefix import hash_key, prefix_key
from llm_client.request import DEFAULT, Conversation, Message, Prompt, chat_request, prompt_request

PUBLIC = hash_key({})
LONG = "x" * 256


def of(prompt: Prompt) -> str:
    return prefix_key(prompt_request(prompt, DEFAULT), PUBLIC)


def of_chat(conversation: Conversation) -> str:
    return prefix_key(chat_request(conversation, DEFAULT), PUBLIC)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.integers(0, 2**32 - 1)))
def test_a_key_is_sixteen_hexadecimal_digits(prompt: Prompt) -> None:
    key = of(prompt)
    assert len(key) == 16
    assert set(key) <= set(string.hexdigits.lower())


def test_the_key_never_changes_between_versions_and_machines() -> None:
    """Clients of different versions share pods' work."""
    assert of("hi") == "620f7becc740c780"
    assert of([1, 2]) == "36bc2b20061bab4d"
    assert of_chat("hi") == "9328c3c828901681"


def test_texts_that_begin_alike_have_one_key() -> None:
    assert of(LONG + "a") == of(LONG + "b")
    assert of(LONG[1:] + "a") != of(LONG[1:] + "b")


def test_tokens_that_begin_alike_have_one_key() -> None:
    beginning = list(range(64))
    assert of([*beginning, 1]) == of([*beginning, 2])
    assert of([*beginning[1:], 1]) != of([*beginning[1:], 2])


def test_a_conversation_that_goes_on_keeps_its_key_once_it_is_long_enough() -> None:
    turns = [Message("system", LONG[:200]), Message("user", "y" * 56)]
    assert of_chat(turns) == of_chat([*turns, Message("assistant", "z")])
    assert of_chat(turns[:1]) != of_chat(turns)


@pytest.mark.parametrize(
    "other",
    [
        [Message("user", "Hi"), Message("user", "there")],
        [Message("system", "Hithere")],
        [Message("user", "Hither"), Message("user", "e")],
    ],
)
def test_roles_and_turns_count(other: Conversation) -> None:
    assert of_chat("Hithere") != of_chat(other)


def test_a_text_and_a_conversation_are_not_alike() -> None:
    assert len({of("hi"), of_chat("hi"), of("")}) == 3


def test_a_secret_makes_keys_of_its_own() -> None:
    secret = hash_key({"LLM_PREFIX_KEY": "s" * 100})
    request = prompt_request("hi", DEFAULT)
    assert prefix_key(request, secret) != prefix_key(request, PUBLIC)


def test_the_key_says_nothing_of_how_the_prompt_goes_on_or_how_long_it_is() -> None:
    assert len(of("")) == len(of("x" * 10_000))
