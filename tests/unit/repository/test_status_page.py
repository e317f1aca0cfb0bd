"""docs/status.md says everything that the operator can say, and nothing else."""

import ast
import re
from pathlib import Path

from llm_operator.api.conditions import ConditionType, Reason
from llm_operator.autoscale.reason import DecisionReason

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "status.md").read_text()
EVENTS = ROOT / "operator" / "llm_operator" / "reconcile" / "events.py"
CAMEL = re.compile(r"(?:[A-Z][a-z]+){2,}|Activated")


def told(section: str) -> list[str]:
    """First column of a section's table."""
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)


def event_names() -> set[str]:
    """Every word in CamelCase that the module of events writes as a text of its own."""
    nodes = ast.walk(ast.parse(EVENTS.read_text()))
    found = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {name for name in found if isinstance(name, str) and CAMEL.fullmatch(name)}


def test_every_condition_is_explained_once() -> None:
    assert sorted(told("Conditions")) == sorted(ConditionType)


def test_every_reason_is_explained_once() -> None:
    assert sorted(told("Reasons")) == sorted(Reason)


def test_every_reason_of_the_number_of_pods_is_explained_once() -> None:
    assert sorted(told("Reasons of the number of pods")) == sorted(DecisionReason)


def test_every_event_is_explained_once() -> None:
    assert sorted(told("Events")) == sorted(event_names() - {"ControllerRevision"})
