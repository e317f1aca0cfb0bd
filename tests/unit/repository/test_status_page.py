"""docs/status.md says everything that the operator can say, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from llm_operator.api.conditions import ConditionType, Reason
from llm_operator.autoscale.reason import DecisionReason

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "status.md").read_text()
CRD = ROOT / "crds" / "llmdeployments.yaml"
EVENTS = ROOT / "operator" / "llm_operator" / "reconcile" / "events.py"
CAMEL = re.compile(r"(?:[A-Z][a-z]+){2,}|Activated")


def told(section: str) -> list[str]:
    """First column of a section's table."""
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| (`[\w.]+`(?:, `[\w.]+`)*) \|", part, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]


def fields(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every field of an object, those of objects in it by their path."""
    for name, found in schema["properties"].items():
        if "properties" in found:
            yield from fields(found, f"{path}{name}.")
        else:
            yield f"{path}{name}"


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


def test_every_field_of_the_rollout_is_explained_once() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rollout = schema["properties"]["status"]["properties"]["rollout"]
    assert sorted(told("The rollout")) == sorted(fields(rollout))


def test_every_event_is_explained_once() -> None:
    assert sorted(told("Events")) == sorted(event_names() - {"ControllerRevision"})
