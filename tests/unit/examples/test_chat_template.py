from pathlib import Path

import pytest
from conversations import Message
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE = Path(__file__).parents[3] / "examples" / "demo-model" / "model" / "chat_template.jinja"


def rendered(messages: list[Message], *, prompt: bool = True) -> str:
    """The chat as text, under the settings that chat templates are written for."""

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    template = environment.from_string(
        TEMPLATE.read_text(encoding="utf-8"), globals={"raise_exception": raise_exception}
    )
    return template.render(messages=messages, add_generation_prompt=prompt)


def said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def test_a_question_is_followed_by_the_assistants_turn() -> None:
    assert rendered([said("user", "Hi")]) == "<|user|>Hi<|end|><|assistant|>"


def test_without_a_generation_prompt_nothing_follows_the_last_message() -> None:
    assert rendered([said("user", "Hi")], prompt=False) == "<|user|>Hi<|end|>"


def test_a_system_message_and_earlier_turns_keep_their_order() -> None:
    chat = [
        said("system", "Be brief."),
        said("user", "one"),
        said("assistant", "un"),
        said("user", "two"),
    ]

    assert rendered(chat) == (
        "<|system|>Be brief.<|end|><|user|>one<|end|><|assistant|>un<|end|>"
        "<|user|>two<|end|><|assistant|>"
    )


def test_space_around_a_message_is_dropped_and_lines_within_are_kept() -> None:
    assert rendered([said("user", " a\n  b \n")], prompt=False) == "<|user|>a\n  b<|end|>"


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="must be system, user or assistant, not tool"):
        rendered([said("tool", "x")])


def test_a_late_system_message_is_refused() -> None:
    with pytest.raises(ValueError, match="Only the first message"):
        rendered([said("user", "x"), said("system", "y")])
