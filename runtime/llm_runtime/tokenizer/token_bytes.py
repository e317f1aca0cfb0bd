"""The bytes behind tokens.

A byte-level tokenizer (GPT-2, Llama 3, Qwen) has them for each token, which is the exact way to
decode a stream; one with byte fallback (Llama 2, Mistral) only for some.

A byte-level vocabulary writes every byte as one printable character. Decoding maps the characters
of all tokens back to bytes and reads them as UTF-8, so the bytes of each token are all that a
stream has to know.
"""

import json

from tokenizers import Tokenizer


def byte_table(tokenizer: Tokenizer) -> dict[int, bytes] | None:
    """Bytes of every id, or None when the tokenizer's decoder is another one."""
    decoder = json.loads(tokenizer.to_str()).get("decoder") or {}
    if decoder.get("type") != "ByteLevel":
        return None
    alphabet = _alphabet()
    return {
        token: _to_bytes(text, alphabet)
        for text, token in tokenizer.get_vocab(with_added_tokens=True).items()
    }


def fallback_table(tokenizer: Tokenizer) -> dict[int, bytes]:
    """Bytes of the ids that spell single bytes, written <0x00> to <0xFF> in SentencePiece's way."""
    ids = {byte: tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
    return {token: bytes([byte]) for byte, token in ids.items() if token is not None}


def _to_bytes(text: str, alphabet: dict[str, int]) -> bytes:
    """A token with a character outside the alphabet (an added one) stands for its own text."""
    try:
        return bytes(alphabet[character] for character in text)
    except KeyError:
        return text.encode()


def _alphabet() -> dict[str, int]:
    """GPT-2's table: printable bytes are themselves, the others follow from U+0100 on in order."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(0x100 + index): byte for index, byte in enumerate(others)})
    return table
