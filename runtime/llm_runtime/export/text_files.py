"""The small files that go with the weights: tokenizer, chat template and generation defaults."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.config import ModelConfig, read_config
from llm_runtime.export.manifest import SpecialTokens
from llm_runtime.model.selection import TEXT_FILES

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
TEMPLATE_FILE = "chat_template.jinja"
GENERATION_FILE = "generation_config.json"
_MAXIMUM_BYTES = 256 << 20


def text_files(source: Path, vocab_size: int) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each text file of the artifact.

    A chat template that older checkpoints keep inside tokenizer_config.json becomes a file.
    Raises ModelError: FileNotFound without a tokenizer.json, ExportFailed for a broken one.
    """
    _check_tokenizer(source, vocab_size)
    for name in TEXT_FILES:
        if (source / name).is_file() and name != TEMPLATE_FILE:
            yield name, _read(source / name)
    template = _chat_template(source)
    if template is not None:
        yield TEMPLATE_FILE, template.encode()


def special_tokens(source: Path, config: ModelConfig) -> SpecialTokens:
    """Beginning, ends and padding; generation_config.json goes before config.json."""
    path = source / GENERATION_FILE
    generation = read_config(path) if path.is_file() else ModelConfig({}, GENERATION_FILE)

    def ids(name: str) -> tuple[int, ...]:
        return generation.token_ids(name) or config.token_ids(name)

    bos, pad = ids("bos_token_id"), ids("pad_token_id")
    return SpecialTokens(
        bos=bos[0] if bos else None, eos=ids("eos_token_id"), pad=pad[0] if pad else None
    )


def _check_tokenizer(source: Path, vocab_size: int) -> None:
    path = source / TOKENIZER_FILE
    if not path.is_file():
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"the source has no {TOKENIZER_FILE}; save the model's fast tokenizer with"
            " transformers' save_pretrained and add the file",
        )
    content = _read(path)
    try:
        vocabulary = Tokenizer.from_buffer(content).get_vocab()
    except Exception as error:  # the library raises plain Exception for every broken file
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{TOKENIZER_FILE} cannot be read by the tokenizers library; save it again with"
            " transformers' save_pretrained",
        ) from error
    largest = max(vocabulary.values(), default=-1)
    if largest >= vocab_size:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{TOKENIZER_FILE} knows the token id {largest}, the model's vocab_size is"
            f" {vocab_size}; choose a revision whose files belong together",
        )


def _chat_template(source: Path) -> str | None:
    path = source / TEMPLATE_FILE
    if path.is_file():
        return _read(path).decode(errors="replace")
    config_path = source / TOKENIZER_CONFIG_FILE
    if not config_path.is_file():
        return None
    match read_config(config_path).fields.get("chat_template"):
        case str(template):
            return template
        case list(templates):
            return next(
                (
                    each["template"]
                    for each in templates
                    if isinstance(each, dict)
                    and each.get("name") == "default"
                    and isinstance(each.get("template"), str)
                ),
                None,
            )
    return None


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MAXIMUM_BYTES:
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{path.name} has {size} bytes, at most {_MAXIMUM_BYTES} are read; choose another"
            " checkpoint",
        )
    return path.read_bytes()
