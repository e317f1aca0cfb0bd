"""The demo model's tokenizer: byte-level BPE, single digits, and one token per chat role.

Every byte has a token, so any text can be read and written; rare accented letters take several
tokens, as in large models.
"""

from collections.abc import Iterable
from pathlib import Path

from conversations import Message
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
VOCABULARY_SIZE = 640
CONTEXT_LENGTH = 512
IGNORED = -100
"""The label of a token that is not trained on (torch's cross entropy skips it)."""


def trained_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer with VOCABULARY_SIZE tokens learnt from `texts`, with the chat template."""
    tokenizer = Tokenizer(models.BPE())
    # Single digits let the model copy a number that it has never seen.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[PAD, *ROLES, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=list(ROLES),
        model_max_length=CONTEXT_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=_template(),
    )


def encoded(
    tokenizer: PreTrainedTokenizerFast, messages: list[Message]
) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, as the chat template renders it, and their labels.

    Labels equal the ids in the assistant's answers with their end token, and IGNORED elsewhere.
    """
    ids: list[int] = []
    labels: list[int] = []
    for message in messages:
        role = tokenizer.convert_tokens_to_ids(f"<|{message['role']}|>")
        said = [*tokenizer.encode(message["content"]), tokenizer.eos_token_id]
        ids += [role, *said]
        labels += [IGNORED, *(said if message["role"] == "assistant" else [IGNORED] * len(said))]
    return ids, labels


def _template() -> str:
    return Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8")
