"""The exported graph computes what transformers computes."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from support.checkpoints import DEMO_MODEL, write_tokenizer
from support.packed_stepper import PackedStepper

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)  # tiny models; more threads only wait for each other

pytestmark = pytest.mark.torch

VOCABULARY = 320
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama with tied embeddings": ("Llama", {"tie_word_embeddings": True}),
    "llama with one group per head": ("Llama", {"num_key_value_heads": 4}),
    "llama with one key-value head": ("Llama", {"num_key_value_heads": 1}),
    "llama with wide heads": ("Llama", {"head_dim": 32}),
    "llama with biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama 3 frequencies": ("Llama", {"rope_parameters": LLAMA3}),
    "llama with linear scaling": (
        "Llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500_000.0}},
    ),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral with a window": ("Mistral", {"sliding_window": 16}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2 with windows in later layers": (
        "Qwen2",
        {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "qwen3 with biases": ("Qwen3", {"head_dim": 32, "attention_bias": True}),
}


@dataclass(frozen=True)
class Pair:
    """A model of transformers and its artifact."""

    reference: Any
    artifact: Path

    def logits(self, tokens: list[int]) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(self.reference(torch.tensor([tokens])).logits[0])

    def would_answer(self, prompt: list[int], answer: list[int]) -> bool:
        """Whether ``answer`` is what greedy decoding says: each token the likeliest after those
        before it."""
        likeliest = self.logits(prompt + answer)[len(prompt) - 1 : -1].argmax(axis=-1)
        return bool(likeliest.tolist() == answer)


def random_model(kind: str, **overrides: Any) -> Any:
    """Weights that are large and biases that are not zero, so that every term shows."""
    torch.manual_seed(7)
    config = getattr(transformers, f"{kind}Config")(**(SHAPE | overrides))
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))
            assert name
    return model


def export_of(model: Any, folder: Path) -> Pair:
    model.save_pretrained(folder / "checkpoint")
    write_tokenizer(folder / "checkpoint", VOCABULARY)
    return export_folder(model, folder / "checkpoint", folder / "artifact")


def export_folder(model: Any, source: Path, destination: Path) -> Pair:
    export_model(ExportRequest(source, destination, SourceRecord(uri="test", revision="1")))
    return Pair(model, destination)


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    kind, overrides = VARIANTS[request.param]
    return export_of(random_model(kind, **overrides), tmp_path_factory.mktemp("variant"))


def sequences(count: int, length: int) -> list[list[int]]:
    numbers = np.random.default_rng(3).integers(3, VOCABULARY - 60, (count, length))
    return [[int(each) for each in row] for row in numbers]


def test_logits_of_a_whole_prompt_equal_the_reference(pair: Pair) -> None:
    for tokens in sequences(3, 50):
        stepper = PackedStepper(pair.artifact, slots=1, capacity=128)
        np.testing.assert_allclose(
            stepper.step({0: tokens})[0], pair.logits(tokens), rtol=0, atol=1e-4
        )


def test_steps_that_mix_chunks_decodes_and_idle_slots_equal_the_reference(pair: Pair) -> None:
    wanted = {slot: pair.logits(tokens) for slot, tokens in enumerate(sequences(4, 40))}
    tokens = sequences(4, 40)
    stepper = PackedStepper(pair.artifact, slots=4, capacity=96)
    plan = [{0: 8}, {0: 1, 1: 12}, {0: 1, 1: 1, 2: 5}, {1: 1, 2: 7, 0: 1}, {3: 30}, {3: 1, 2: 20}]
    for counts in plan:
        start = {slot: int(stepper.lengths[slot]) for slot in counts}
        work = {s: tokens[s][start[s] : start[s] + n] for s, n in sorted(counts.items())}
        for slot, logits in stepper.step(work).items():
            end = start[slot] + counts[slot]
            np.testing.assert_allclose(logits, wanted[slot][start[slot] : end], rtol=0, atol=1e-4)


def test_bfloat16_weights_widen_to_what_the_reference_computes_with(tmp_path: Path) -> None:
    pair = export_of(random_model("Llama").to(torch.bfloat16), tmp_path)
    wide = Pair(
        transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "checkpoint", dtype=torch.float32
        ).eval(),
        pair.artifact,
    )
    tokens = sequences(1, 30)[0]
    logits = PackedStepper(pair.artifact, 1, 64).step({0: tokens})[0]
    np.testing.assert_allclose(logits, wide.logits(tokens), rtol=0, atol=1e-4)


def test_a_checkpoint_in_shards_gives_the_same_artifact_as_one_file(tmp_path: Path) -> None:
    model = random_model("Llama")
    whole = export_of(model, tmp_path / "whole")
    model.save_pretrained(tmp_path / "cut" / "checkpoint", max_shard_size="100KB")
    write_tokenizer(tmp_path / "cut" / "checkpoint", VOCABULARY)
    assert len(list((tmp_path / "cut" / "checkpoint").glob("*.safetensors"))) > 2
    cut = export_folder(model, tmp_path / "cut" / "checkpoint", tmp_path / "cut" / "artifact")
    for name in ("model.onnx", "model.data", "manifest.json"):
        assert (cut.artifact / name).read_bytes() == (whole.artifact / name).read_bytes()


def check_fifty(pair: Pair, prompts: list[list[int]]) -> None:
    """All answered side by side, each as the reference answers it alone."""
    stepper = PackedStepper(pair.artifact, slots=len(prompts), capacity=192)
    answers = stepper.greedy(prompts, 24)
    assert len(answers) == 50
    for prompt, answer in zip(prompts, answers, strict=True):
        assert pair.would_answer(prompt, answer)


def test_greedy_answers_to_fifty_prompts_are_identical_to_the_reference(tmp_path: Path) -> None:
    pair = export_of(random_model("Llama"), tmp_path)
    check_fifty(pair, sequences(50, 12))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    model = transformers.AutoModelForCausalLM.from_pretrained(DEMO_MODEL, dtype=torch.float32)
    return export_folder(model.eval(), DEMO_MODEL, tmp_path_factory.mktemp("demo") / "artifact")


def demo_prompts(count: int) -> list[list[int]]:
    """Chats of all its tasks, held out from its training."""
    tasks = importlib.import_module("tasks")
    held_out = importlib.import_module("split").Split.HELD_OUT
    tokenizer = transformers.AutoTokenizer.from_pretrained(DEMO_MODEL)
    kinds = list(tasks.Task)
    prompts = []
    for index in range(count):
        draws = Random(index)  # noqa: S311 - a seed, not a secret
        example = tasks.draw(kinds[index % len(kinds)], draws, held_out)
        chat = [{"role": "user", "content": example.prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        prompts.append(tokenizer(text, add_special_tokens=False)["input_ids"])
    return prompts


def test_the_demo_models_logits_equal_the_reference(demo: Pair) -> None:
    for tokens in demo_prompts(10):
        stepper = PackedStepper(demo.artifact, slots=1, capacity=128)
        np.testing.assert_allclose(
            stepper.step({0: tokens})[0], demo.logits(tokens), rtol=0, atol=1e-4
        )


def test_the_demo_model_answers_fifty_prompts_like_the_reference(demo: Pair) -> None:
    check_fifty(demo, demo_prompts(50))
