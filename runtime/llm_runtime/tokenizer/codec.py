"""Text to tokens and back, with the artifact's own tokenizer.json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from llm_runtime.errors import ModelError, Reason
from llm_runtime.tokenizer.token_bytes import byte_table, fallback_table


@dataclass(frozen=True, slots=True)
class SpecialText:
    """The texts of the tokens that a chat template may refer to; empty when there is none."""

    bos: str = ""
    eos: str = ""


class Codec:
    """One tokenizer. Safe to use from several threads; both directions are pure."""

    def __init__(self, tokenizer: Tokenizer, special: SpecialText) -> None:
        self._tokenizer = tokenizer
        self.special = special
        self.special_ids = frozenset(
            token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self.bytes_of = byte_table(tokenizer)
        self.fallback_bytes = fallback_table(tokenizer)

    @classmethod
    def load(cls, directory: Path) -> "Codec":
        """Reads tokenizer.json and tokenizer_config.json. Raises ModelError(ModelLoadFailed)."""
        try:
            tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception for a bad or missing file
            raise ModelError(
                Reason.MODEL_LOAD_FAILED,
                f"tokenizer.json cannot be read ({error}); export the model again",
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer, _special_text(directory / "tokenizer_config.json"))

    @property
    def vocabulary(self) -> int:
        """Number of ids the tokenizer knows; the model's may be larger."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str, *, add_special: bool) -> list[int]:
        """Tokenises; `add_special` adds what the tokenizer puts around a text, such as a BOS."""
        return list(self._tokenizer.encode(text, add_special_tokens=add_special).ids)

    def decode(self, ids: Sequence[int], *, keep_special: bool = False) -> str:
        """Text of a whole sequence."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not keep_special))


def _special_text(path: Path) -> SpecialText:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return SpecialText()
    except ValueError as error:
        raise ModelError(
            Reason.MODEL_LOAD_FAILED, f"{path.name} is not JSON ({error}); export the model again"
        ) from error
    return SpecialText(bos=_text(document, "bos_token"), eos=_text(document, "eos_token"))


def _text(document: dict[str, object], name: str) -> str:
    """The token's text: Hugging Face writes a string or an object with `content`."""
    value = document.get(name)
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""
