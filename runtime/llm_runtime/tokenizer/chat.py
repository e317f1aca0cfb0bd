"""Renders chat messages with the model's own template, sandboxed and bounded.

The template comes with the model and is a program; the messages come from anybody. The sandbox is
immutable, has no loader and no globals but those that templates on the Hub use.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm_runtime.errors import ModelError, Reason
from llm_runtime.tokenizer.codec import SpecialText

_LONGEST_TEMPLATE = 256 * 1024
_LONGEST_REASON = 200
# One rendering may take this many turns of `range` in all; loops over messages are bounded by the
# messages.
_RANGE_TURNS = 10_000


class ChatError(Exception):
    """The messages cannot be rendered; the text is for the caller and does not repeat them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. Roles are checked by whoever takes the message in."""

    role: str
    content: str


class ChatTemplate:
    """A compiled template."""

    def __init__(self, source: str, special: SpecialText) -> None:
        """Raises ModelError(ModelLoadFailed) when the template is too long or does not compile."""
        if len(source) > _LONGEST_TEMPLATE:
            raise ModelError(
                Reason.MODEL_LOAD_FAILED,
                f"The chat template has {len(source)} characters, at most {_LONGEST_TEMPLATE} are"
                " allowed; export the model again with a shorter one",
            )
        try:
            self._template = _environment().from_string(source)
        except Exception as error:  # constants are folded here, so the template's own code may fail
            what = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
            raise ModelError(
                Reason.MODEL_LOAD_FAILED,
                f"The chat template does not compile ({what}); correct it and export again",
            ) from error
        self._special = special

    @classmethod
    def load(cls, directory: Path, special: SpecialText) -> "ChatTemplate | None":
        """Reads chat_template.jinja; None when the model has none."""
        path = directory / "chat_template.jinja"
        return cls(path.read_text(encoding="utf-8"), special) if path.exists() else None

    def render(self, messages: Sequence[Message], limit: int) -> str:
        """Renders a conversation up to where the assistant speaks.

        Args:
            messages: the conversation.
            limit: most characters of the result.

        Raises:
            ChatError: the template refuses the messages, fails, or writes too much.
        """
        pieces = self._template.generate(
            messages=[{"role": item.role, "content": item.content} for item in messages],
            add_generation_prompt=True,
            bos_token=self._special.bos,
            eos_token=self._special.eos,
            range=_BoundedRange(_RANGE_TURNS),
        )
        try:
            return _join(pieces, limit)
        except _Refused as error:
            raise ChatError(f"The model's chat template refuses the messages: {error}") from error
        except ChatError:
            raise
        except Exception as error:  # a template is a program, its faults are of any kind
            raise ChatError(
                f"The model's chat template failed with {type(error).__name__}"
            ) from error


class _Refused(jinja2.TemplateError):
    """The template called raise_exception; its text is the model author's."""


class _BoundedRange:
    """`range` with a budget for the whole rendering, so that nested loops end."""

    def __init__(self, turns: int) -> None:
        self._left = turns

    def __call__(self, *bounds: int) -> range:
        turns = range(*bounds)
        self._left -= len(turns)
        if self._left < 0:
            raise jinja2.TemplateRuntimeError("too many turns of range")
        return turns


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals.clear()
    environment.globals.update(
        namespace=jinja2.utils.Namespace,
        dict=dict,
        raise_exception=_raise,
        strftime_now=_strftime_now,
    )
    return environment


def _join(pieces: Iterator[str], limit: int) -> str:
    kept = []
    for piece in pieces:
        limit -= len(piece)
        if limit < 0:
            raise ChatError("The rendered messages are longer than the model's context")
        kept.append(piece)
    return "".join(kept)


def _raise(message: str) -> NoReturn:
    raise _Refused(str(message)[:_LONGEST_REASON])


def _strftime_now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _to_json(value: Any, indent: int | None = None, **_ignored: Mapping[str, Any]) -> str:
    """Like the Hub's templates expect it: no HTML escapes, no ASCII escapes."""
    return json.dumps(value, ensure_ascii=False, indent=indent)
