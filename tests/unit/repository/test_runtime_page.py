"""docs/runtime.md names every setting, metric, state and limit of a runtime pod, and no other."""

import re
from pathlib import Path

import pytest

from llm_runtime.server import parse
from llm_runtime.server.lifecycle import Phase
from llm_runtime.settings import ServeSettings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "runtime.md").read_text()
METRICS = ROOT / "runtime" / "llm_runtime" / "telemetry" / "metrics.py"


def rows(section: str) -> dict[str, str]:
    """First column of a section's table, and the rest of its row."""
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", part, re.MULTILINE))


def test_every_setting_is_named() -> None:
    assert sorted(rows("Settings")) == sorted(
        f"LLM_{n.upper()}" for n in ServeSettings.model_fields
    )


def test_figures_are_the_defaults() -> None:
    for name, field in ServeSettings.model_fields.items():
        if isinstance(field.default, int | float):
            shown = rows("Settings")[f"LLM_{name.upper()}"].split(" | ")[0]
            assert float(shown) == field.default, name


def test_every_metric_is_named() -> None:
    assert set(rows("Metrics")) == set(re.findall(r'"(llm_\w+)"', METRICS.read_text()))


def test_every_state_is_named() -> None:
    assert list(rows("States")) == [phase.name for phase in Phase]


@pytest.mark.parametrize(
    ("field", "limits"),
    [
        ("request_id", [parse._LONGEST_REQUEST_ID]),
        ("chat.messages", [1, parse._MOST_MESSAGES]),
        ("stop_strings", [parse._MOST_STOP_STRINGS, 1, parse._LONGEST_STOP_STRING]),
        ("stop_token_ids", [parse._MOST_STOP_TOKENS]),
    ],
)
def test_limits_are_those_of_the_server(field: str, limits: list[int]) -> None:
    shown = rows(r"Limits of a request")[field]
    assert [int(figure) for figure in re.findall(r"\d+", shown)] == limits
