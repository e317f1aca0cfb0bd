"""Trains the demo model and writes it to `model/`, for `transformers` and `llm-runtime export`.

    python examples/demo-model/train.py

The number of steps and all seeds are fixed, so that the same versions on the same kind of processor
give the same weights, whatever else the machine does. `evaluate.py` measures what was learnt.
"""

import os

# Before torch loads OpenMP: threads that wait for each other must sleep, not spin. On a busy
# machine spinning makes a step several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from random import Random

import torch
import transformers
from batches import batches
from chat_tokenizer import CONTEXT_LENGTH, trained_tokenizer
from conversations import training_conversation
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

HERE = Path(__file__).parent

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Round:
    """One rise and fall of the learning rate. `steps` and `warm_up` count optimizer steps."""

    steps: int
    peak_learning_rate: float = 3e-3
    warm_up: int = 100

    def learning_rate(self, step: int) -> float:
        """Rises linearly over `warm_up` steps while falling on a half cosine to 1 % of the peak."""
        rise = min(1.0, (step + 1) / self.warm_up)
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.peak_learning_rate * rise * (fall + 0.01)


# The mean of the weights at the end of each round answers new questions better than either does.
ROUNDS = (Round(steps=1600), Round(steps=400, peak_learning_rate=2e-3))


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights.

    Each round goes on from the weights of the one before; the result is the mean of all their ends.
    """

    rounds: tuple[Round, ...] = ROUNDS
    seed: int = 0
    threads: int = 2
    conversations_per_step: int = 56
    tokenizer_conversations: int = 20_000
    weight_decay: float = 0.05
    gradient_norm: float = 1.0

    @property
    def steps(self) -> int:
        """Optimizer steps of all rounds together."""
        return sum(part.steps for part in self.rounds)


def main() -> None:
    """Parses the command line, trains and saves."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--steps", type=int, help="one short round of so many steps, for a trial")
    parser.add_argument("--out", type=Path, default=HERE / "model", help="folder for the model")
    arguments = parser.parse_args()
    if arguments.steps is not None and arguments.steps < 1:
        parser.error(f"--steps must be at least 1, not {arguments.steps}")
    recipe = Recipe(rounds=(Round(arguments.steps),)) if arguments.steps else Recipe()
    began, busy_before = time.monotonic(), time.process_time()
    tokenizer, model = trained(recipe)
    save(arguments.out, tokenizer, model)
    seconds = time.monotonic() - began
    facts = {
        **_facts(recipe, model),
        "minutes": round(seconds / 60, 1),
        "processor_minutes": round((time.process_time() - busy_before) / 60, 1),
        "load": round(os.getloadavg()[2], 1),
    }
    text = json.dumps(facts, indent=2) + "\n"
    arguments.out.with_name("training.json").write_text(text, encoding="utf-8")
    print(f"Saved {arguments.out} after {_clock(seconds)}")


def trained(recipe: Recipe) -> tuple[PreTrainedTokenizerFast, LlamaForCausalLM]:
    """A tokenizer and a model trained after `recipe`."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    torch.use_deterministic_algorithms(True)
    rng = Random(recipe.seed)
    tokenizer = trained_tokenizer(_texts(rng, recipe.tokenizer_conversations))
    model = _untrained_model(tokenizer)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count:,} parameters, {len(tokenizer)} tokens, {recipe.steps} steps", flush=True)
    ends: list[Weights] = []
    for number, part in enumerate(recipe.rounds):
        draws = Random(recipe.seed + number) if number else rng
        source = batches(tokenizer, draws, recipe.conversations_per_step)
        _optimize(model, recipe, part, source)
        ends.append({name: value.clone() for name, value in model.state_dict().items()})
    model.load_state_dict(_mean(ends))
    return tokenizer, model.eval()


def save(folder: Path, tokenizer: PreTrainedTokenizerFast, model: LlamaForCausalLM) -> None:
    """Writes weights, configuration, tokenizer and chat template in the layout of the HF hub."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    # safetensors makes its files private; these are meant for anyone, as in a mounted volume.
    (folder / "model.safetensors").chmod(0o644)
    tokenizer.save_pretrained(folder)
    # Readers differ in where they look for the template: a file of its own, or this entry.
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["chat_template"] = tokenizer.chat_template
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _mean(ends: list[Weights]) -> Weights:
    return {name: sum(end[name] for end in ends) / len(ends) for name in ends[0]}


def _texts(rng: Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield from (message["content"] for message in training_conversation(rng))


def _untrained_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    # Written-out attention trains faster than the fused kernel at this size on a CPU.
    model.set_attn_implementation("eager")
    return model


def _optimize(
    model: LlamaForCausalLM,
    recipe: Recipe,
    part: Round,
    source: Iterator[tuple[torch.Tensor, torch.Tensor]],
) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    began = time.monotonic()
    model.train()
    for step, (ids, labels) in enumerate(islice(source, part.steps)):
        for group in optimizer.param_groups:
            group["lr"] = part.learning_rate(step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_norm)
        optimizer.step()
        if (step + 1) % 50 == 0 or step + 1 == part.steps:
            _report(step + 1, part.steps, loss.item(), time.monotonic() - began)


def _report(done: int, steps: int, loss: float, seconds: float) -> None:
    left = seconds / done * (steps - done)
    print(
        f"step {done}/{steps}  loss {loss:.4f}  elapsed {_clock(seconds)}  left {_clock(left)}",
        flush=True,
    )


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _facts(recipe: Recipe, model: LlamaForCausalLM) -> dict[str, object]:
    """How the model was trained, for its card."""
    return {
        "steps": recipe.steps,
        "seed": recipe.seed,
        "threads": recipe.threads,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
