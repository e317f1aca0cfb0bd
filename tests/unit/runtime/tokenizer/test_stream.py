from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from llm_runtime.tokenizer.codec import Codec, SpecialText
from llm_runtime.tokenizer.stream import open_stream
from llm_runtime.tokenizer.token_bytes import byte_table


@cache
def byte_level() -> Codec:
    """Every byte is a token, some tokens hold several, one is special, one is an added word."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, "Ġthe", "Ã©", "Ã", "âĤ", "â\u0124¬"]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True)])
    tokenizer.add_tokens(["naïve word"])
    return Codec(tokenizer, SpecialText())


@cache
def byte_fallback() -> Codec:
    """Like SentencePiece: words begin with ▁, what is not in the vocabulary is spelled in bytes."""
    words = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += ["▁Hello", "▁world", "▁", "é", "€", "lo", "He", "▁▁"]
    tokenizer = Tokenizer(
        models.BPE({word: index for index, word in enumerate(words)}, [], byte_fallback=True)
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.add_special_tokens([AddedToken("<s>", special=True)])
    return Codec(tokenizer, SpecialText())


def streamed(codec: Codec, ids: list[int], *, keep_special: bool = False) -> list[str]:
    stream = open_stream(codec, keep_special=keep_special)
    return [*(stream.feed(token) for token in ids), stream.flush()]


def id_of(codec: Codec, word: str) -> int:
    token = codec._tokenizer.token_to_id(word)
    assert token is not None
    return token


def ids_of(codec: Codec, text: str) -> list[int]:
    """One token per byte."""
    table = {content: token for token, content in (codec.bytes_of or {}).items()}
    return [table[bytes([byte])] for byte in text.encode()]


def test_an_unfinished_character_is_held_back() -> None:
    codec = byte_level()
    assert streamed(codec, ids_of(codec, "a€b")) == ["a", "", "", "€", "b", ""]


def test_bytes_that_never_become_a_character_come_out_at_the_end() -> None:
    codec = byte_level()
    assert streamed(codec, ids_of(codec, "€")[:2]) == ["", "", "\ufffd"]


def test_special_tokens_are_silent_unless_they_are_kept() -> None:
    codec = byte_level()
    [special] = codec.special_ids
    ids = [*ids_of(codec, "a"), special, *ids_of(codec, "b")]
    assert "".join(streamed(codec, ids)) == "ab"
    assert "".join(streamed(codec, ids, keep_special=True)) == "a<|end|>b"


def test_a_special_token_inside_a_character_does_not_break_it() -> None:
    codec = byte_level()
    [special] = codec.special_ids
    first, second, third = ids_of(codec, "€")
    assert "".join(streamed(codec, [first, special, second, third])) == "€"


def test_an_id_beyond_the_tokenizer_leaves_no_text() -> None:
    codec = byte_level()
    assert "".join(streamed(codec, [*ids_of(codec, "a"), 100_000])) == "a"


@given(st.lists(st.integers(0, 262), max_size=40), st.booleans())
@settings(deadline=None)
def test_pieces_of_any_byte_level_sequence_add_up_to_the_whole(ids: list[int], keep: bool) -> None:
    codec = byte_level()
    ids = [token for token in ids if token < codec.vocabulary]
    whole = codec.decode(ids, keep_special=keep)
    assert "".join(streamed(codec, ids, keep_special=keep)) == whole


@given(st.text(max_size=20))
@settings(deadline=None)
def test_no_replacement_character_shows_while_a_text_is_spelled_byte_by_byte(text: str) -> None:
    codec = byte_level()
    text = text.replace("\ufffd", "")
    pieces = streamed(codec, ids_of(codec, text))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_the_space_of_a_word_stays_in_the_middle_and_goes_at_the_beginning() -> None:
    codec = byte_fallback()
    hello, world = (id_of(codec, word) for word in ("▁Hello", "▁world"))
    assert streamed(codec, [hello, world, hello]) == ["Hello", " world", " Hello", ""]


def test_the_space_after_a_special_token_stays() -> None:
    codec = byte_fallback()
    hello, world, special = (id_of(codec, word) for word in ("▁Hello", "▁world", "<s>"))
    assert "".join(streamed(codec, [special, hello, special, world])) == "Hello world"


def test_a_character_spelled_in_fallback_bytes_is_held_back() -> None:
    codec = byte_fallback()
    ids = [id_of(codec, f"<0x{byte:02X}>") for byte in "€".encode()]
    hello = id_of(codec, "▁Hello")
    assert streamed(codec, [hello, *ids, hello]) == ["Hello", "", "", "€", " Hello", ""]


def test_a_character_after_a_space_that_is_not_shown_is_still_whole() -> None:
    codec = byte_fallback()
    ids = [id_of(codec, f"<0x{byte:02X}>") for byte in "\U00010000".encode()]
    assert "".join(streamed(codec, [id_of(codec, "▁"), *ids])) == "\U00010000"


pieces = st.sampled_from(["▁Hello", "▁world", "▁", "é", "€", "lo", "He", "▁▁"])
spelled = st.characters(codec="utf-8").map(lambda c: [f"<0x{byte:02X}>" for byte in c.encode()])


@given(st.lists(st.one_of(pieces.map(lambda piece: [piece]), spelled), max_size=12))
@settings(deadline=None, max_examples=300)
def test_pieces_of_fallback_text_add_up_to_the_whole(words: list[list[str]]) -> None:
    codec = byte_fallback()
    ids = [id_of(codec, piece) for word in words for piece in word]
    assert "".join(streamed(codec, ids)) == codec.decode(ids)


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_the_byte_table_exists_for_byte_level_decoders_alone(make: object) -> None:
    codec = make()  # type: ignore[operator]
    assert (byte_table(codec._tokenizer) is not None) == (make is byte_level)
