# ruff: noqa: S311 - draws must repeat, so they come from seeds
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from conversations import training_conversation

MODEL = Path(__file__).parents[3] / "examples" / "demo-model" / "model"

pytestmark = pytest.mark.torch


def test_training_reads_a_conversation_as_the_chat_template_renders_it() -> None:
    from chat_tokenizer import encoded
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    rng = Random(5)
    for _ in range(100):
        messages = training_conversation(rng)
        rendered = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
        assert encoded(tokenizer, messages)[0] == rendered


def test_only_the_answers_and_their_end_are_trained_on() -> None:
    from chat_tokenizer import IGNORED, encoded
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    ids, labels = encoded(tokenizer, messages)
    trained = [label for label in labels if label != IGNORED]

    assert tokenizer.decode(trained) == "Hello!<|end|>"
    assert ids[-len(trained) :] == trained


def test_any_text_survives_the_tokenizer() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    text = "Août à Bogotá: 1er, 漢字 🙂\n\tdef f(x):"

    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_some_accented_letters_take_several_tokens() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)

    assert len(tokenizer.encode("û")) == 2


def test_batches_are_padded_rows_of_one_width_with_labels_on_answers() -> None:
    from batches import batches
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    for ids, labels in islice(batches(tokenizer, Random(1), size=4), 3):
        assert ids.shape == labels.shape == (4, ids.shape[1])
        assert (labels != -100).any(dim=1).all()
        assert ((labels == ids) | (labels == -100)).all()


def test_two_trainings_with_the_same_recipe_give_the_same_weights() -> None:
    import torch
    from train import Recipe, Round, trained

    recipe = Recipe((Round(1), Round(1)), conversations_per_step=4, tokenizer_conversations=500)
    threads = torch.get_num_threads()
    try:
        first, second = (trained(recipe)[1].state_dict() for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(mode=False)
        torch.set_num_threads(threads)

    assert all(torch.equal(first[name], second[name]) for name in first)
