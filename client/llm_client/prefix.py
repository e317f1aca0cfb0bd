"""The beginning of a prompt as a short key: equal beginnings, equal keys.

It travels as metadata, so that a control plane can send prompts that begin alike to the pod that
has computed that beginning before (`PrefixAffinity`). The hash is one-way and has a key of its own.
With the key that everybody knows, the default, who reads the metadata (a proxy that logs it, say)
can try out guesses of a beginning; a secret one in `LLM_PREFIX_KEY` takes that away, and clients
that are to share a pod's work need the same. Either way it shows who begins alike, and nothing
hides the prompt itself from those who see the message.
"""

import hashlib
from array import array
from collections.abc import Iterator, Mapping

from llm_client.v1 import inference_pb2 as pb

HEADER = "llm-prefix-key"
SECRET = "LLM_PREFIX_KEY"  # noqa: S105 - the name of an environment variable
CHARACTERS = 256
"""Of a text, or of a conversation's turns together, that count as its beginning."""
TOKENS = 64
"""The same for token ids: about as much text."""

_PUBLIC = "llm-operator.dev/prefix/v1"
_KEY_BYTES = 8


def hash_key(environ: Mapping[str, str]) -> bytes:
    """What hashes are made with, 32 bytes: from the secret if there is one."""
    secret = environ.get(SECRET) or _PUBLIC
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()


def prefix_key(request: pb.GenerateRequest, key: bytes) -> str:
    """16 hexadecimal digits for the beginning of the request's prompt."""
    kind = request.WhichOneof("prompt") or ""
    # The kind takes part: a text and a conversation that begin alike are different tokens.
    made = hashlib.blake2b(key=key, digest_size=_KEY_BYTES, person=kind.encode())
    if kind == "token_ids":
        made.update(array("I", request.token_ids.ids[:TOKENS]).tobytes())
    elif kind == "chat":
        made.update("".join(_turns(request.chat)).encode())
    else:
        made.update(request.text[:CHARACTERS].encode())
    return made.hexdigest()


def _turns(chat: pb.Chat) -> Iterator[str]:
    """Turns in their order, as far as the beginning reaches."""
    left = CHARACTERS
    for turn in chat.messages:
        if left <= 0:
            return
        yield f"{turn.role}\0{turn.content[:left]}\0"
        left -= len(turn.content)
