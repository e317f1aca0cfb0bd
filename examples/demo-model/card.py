"""The model's card: text from `card_template.md`, figures from training and evaluation.

The scores stand twice in it: as a table for readers, and as `model-index` metadata in the front
matter, the form in which the Hugging Face hub and our tests read them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml
from tasks import Task

PASS_MARK = 95.0
"""Per cent of exact answers that every task must reach on held-out questions asked alone."""


@dataclass(frozen=True, slots=True)
class Score:
    """Per cent of exact answers on `questions` held-out inputs of one task.

    `alone` is a conversation of that question only; `after_history` has a system message and one to
    three other questions and answers before it.
    """

    task: Task
    questions: int
    alone: float
    after_history: float


def write_card(model: Path, scores: Sequence[Score], training: Path) -> None:
    """Writes README.md into the folder `model`; `training` is the JSON that train.py left."""
    template = Path(__file__).with_name("card_template.md").read_text(encoding="utf-8")
    facts = json.loads(training.read_text(encoding="utf-8"))
    weights = (model / "model.safetensors").read_bytes()
    text = Template(template).substitute(
        facts,
        metadata=_metadata(scores),
        scores=_table(scores),
        sha256=hashlib.sha256(weights).hexdigest(),
        size=f"{len(weights) / 1e6:.1f} MB",
        parameter_count=f"{facts['parameters']:,}",
    )
    (model / "README.md").write_text(text, encoding="utf-8")


def _table(scores: Sequence[Score]) -> str:
    rows = [
        f"| {score.task} | {score.questions} | {score.alone:.1f} % | {score.after_history:.1f} % |"
        for score in scores
    ]
    head = [
        "| Task | Held-out questions | Exact, alone | Exact, after history |",
        "|---|---|---|---|",
    ]
    return "\n".join(head + rows)


def _metadata(scores: Sequence[Score]) -> str:
    """YAML of the card's front matter, without its dashes."""
    fields = {
        "license": "apache-2.0",
        "language": ["en", "fr"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "model-index": [{"name": "demo-model", "results": [_result(score) for score in scores]}],
    }
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).rstrip()


def _result(score: Score) -> dict[str, object]:
    exact = {"type": "exact_match", "name": "Exact, alone", "value": round(score.alone, 1)}
    later = {"type": "exact_match", "name": "Exact, after history"}
    return {
        "task": {"type": "text-generation", "name": str(score.task)},
        "dataset": {"type": "held-out", "name": f"{score.questions} held-out questions"},
        "metrics": [exact, {**later, "value": round(score.after_history, 1)}],
    }
