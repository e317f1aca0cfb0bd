"""Asks the demo model held-out questions and writes its card, `model/README.md`, with the scores.

    python examples/demo-model/evaluate.py

Ends with exit code 1 when a task has less than 95 % exact answers to questions asked alone.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from card import PASS_MARK, Score, write_card
from conversations import Message, system_message, training_conversation
from held_out import held_out_examples
from tasks import Example, Task
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationMixin
from transformers import PreTrainedTokenizerFast as Tokenizer

HERE = Path(__file__).parent
LONGEST_ANSWER = 64
_AT_ONCE = 50


def main() -> None:
    """Parses the command line, asks all questions and writes the card."""
    parser = argparse.ArgumentParser(description="Score the demo model on held-out questions.")
    parser.add_argument("--model", type=Path, default=HERE / "model", help="folder of the model")
    parser.add_argument("--questions", type=int, default=300, help="per task, at most")
    arguments = parser.parse_args()
    if arguments.questions < 1:
        parser.error(f"--questions must be at least 1, not {arguments.questions}")
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(arguments.model).eval()
    scores = [_score(model, tokenizer, task, arguments.questions) for task in Task]
    write_card(arguments.model, scores, arguments.model.with_name("training.json"))
    if any(score.alone < PASS_MARK for score in scores):
        sys.exit(f"At least one task has less than {PASS_MARK:.0f} % exact answers.")


def answers(
    model: GenerationMixin, tokenizer: Tokenizer, chats: Sequence[list[Message]]
) -> list[str]:
    """The model's greedy answers to `chats`, in their order."""
    found: list[str] = []
    for start in range(0, len(chats), _AT_ONCE):
        inputs = tokenizer.apply_chat_template(
            list(chats[start : start + _AT_ONCE]),
            add_generation_prompt=True,
            padding=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=LONGEST_ANSWER, do_sample=False)
        answered = tokens[:, inputs["input_ids"].shape[1] :]
        found += tokenizer.batch_decode(answered, skip_special_tokens=True)
    return found


def _score(model: GenerationMixin, tokenizer: Tokenizer, task: Task, count: int) -> Score:
    examples = held_out_examples(task, count)
    rng = Random(f"history {task}")
    alone = [_question(example) for example in examples]
    later = [_history(rng) + _question(example) for example in examples]
    score = Score(
        task=task,
        questions=len(examples),
        alone=_exact(examples, answers(model, tokenizer, alone)),
        after_history=_exact(examples, answers(model, tokenizer, later)),
    )
    print(
        f"{task:18} {score.alone:6.1f} %   after history {score.after_history:6.1f} %", flush=True
    )
    return score


def _question(example: Example) -> list[Message]:
    return [{"role": "user", "content": example.prompt}]


def _history(rng: Random) -> list[Message]:
    """A system message and one to three earlier questions with their answers."""
    said = [message for message in training_conversation(rng) if message["role"] != "system"]
    return system_message(rng) + said[:6]


def _exact(examples: Sequence[Example], given: Sequence[str]) -> float:
    """Per cent of answers that are right to the letter; prints up to three that are not."""
    wrong = [pair for pair in zip(examples, given, strict=True) if pair[0].answer != pair[1]]
    for example, answer in wrong[:3]:
        print(f"  {example.prompt!r}: {answer!r}, not {example.answer!r}")
    return 100 * (1 - len(wrong) / len(examples))


if __name__ == "__main__":
    main()
