import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from card import PASS_MARK
from tasks import Task

MODEL = Path(__file__).parents[3] / "examples" / "demo-model" / "model"
LIMIT_BYTES = 5_000_000


def front_matter() -> dict[str, Any]:
    text = (MODEL / "README.md").read_text(encoding="utf-8")
    fields = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(fields, dict)
    return fields


def scores() -> dict[str, list[float]]:
    """Every score of each task, by the task's name."""
    results = front_matter()["model-index"][0]["results"]
    return {r["task"]["name"]: [metric["value"] for metric in r["metrics"]] for r in results}


@pytest.mark.parametrize("task", Task)
def test_the_card_gives_every_task_a_score_above_the_pass_mark(task: Task) -> None:
    alone, _ = scores()[task]

    assert PASS_MARK <= alone <= 100


def test_the_cards_table_shows_the_scores_of_its_metadata() -> None:
    text = (MODEL / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.endswith("% |")]

    assert len(rows) == len(Task)
    for row, (task, (alone, after_history)) in zip(rows, scores().items(), strict=True):
        assert row.startswith(f"| {task} |")
        assert row.endswith(f"| {alone:.1f} % | {after_history:.1f} % |")


def test_the_card_names_the_digest_of_the_shipped_weights() -> None:
    digest = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()

    assert digest in (MODEL / "README.md").read_text(encoding="utf-8")


def test_the_whole_model_folder_stays_within_5_mb() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= LIMIT_BYTES


def test_the_model_is_a_llama_with_grouped_query_attention() -> None:
    config = json.loads((MODEL / "config.json").read_text(encoding="utf-8"))

    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["hidden_act"] == "silu"
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (4, 2)
    assert config["max_position_embeddings"] == 512


def test_both_places_of_the_chat_template_hold_the_same_text() -> None:
    settings = json.loads((MODEL / "tokenizer_config.json").read_text(encoding="utf-8"))
    beside = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    source = (MODEL.parent / "chat_template.jinja").read_text(encoding="utf-8")

    assert settings["chat_template"] == beside == source
