"""The chart's values: documented, checked and named where they are wrong."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart.rendering import CHART, Helm, RefusedError

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
_ROW = re.compile(r"^\| `([\w.]+)` \| `(.+?)` \| (.+) \|$", re.MULTILINE)


def _described(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """(path, description) of every value that is not a group of others."""
    for name, child in schema["properties"].items():
        below = f"{path}.{name}" if path else name
        if _is_group(child):
            yield from _described(child, below)
        elif below != "global":
            yield below, child["description"]


def _is_group(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and schema.get("additionalProperties") is False


def _default(path: str) -> Any:
    value = VALUES
    for name in path.split("."):
        value = value[name]
    return value


def test_the_readme_describes_every_value_as_the_schema_does() -> None:
    rows = _ROW.findall((CHART / "README.md").read_text())

    assert [(path, text) for path, _, text in rows] == list(_described(SCHEMA))


def test_the_readme_shows_the_defaults() -> None:
    for path, default, _ in _ROW.findall((CHART / "README.md").read_text()):
        assert json.loads(default) == _default(path), path


def test_values_and_schema_name_the_same() -> None:
    def names(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
        expected = set(schema["properties"]) - {"global"}
        assert set(values) == expected, path
        for name, child in schema["properties"].items():
            if _is_group(child):
                names(child, values[name], f"{path}.{name}")

    names(SCHEMA, VALUES, "")


def test_every_group_of_the_schema_is_closed_and_every_value_typed() -> None:
    def look(schema: dict[str, Any], path: str) -> None:
        for name, child in schema["properties"].items():
            assert "type" in child, f"{path}.{name}"
            assert child["description"], f"{path}.{name}"
            if "properties" in child:
                assert child["additionalProperties"] is False, f"{path}.{name}"
                look(child, f"{path}.{name}")

    assert SCHEMA["additionalProperties"] is False
    look(SCHEMA, "")


def test_every_value_is_commented_where_it_is_set() -> None:
    text = (CHART / "values.yaml").read_text()

    for name in VALUES:
        position = re.search(rf"^{name}:", text, re.MULTILINE)
        assert position, name
    assert text.count("#") > len(VALUES)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"operatr": {}}, "operatr"),
        ({"operator": {"replica": 3}}, "replica"),
        ({"operator": {"leaseSeconds": 1}}, "/operator/leaseSeconds"),
        ({"operator": {"logLevel": "LOUD"}}, "/operator/logLevel"),
        ({"operator": {"resources": {"limits": {"memory": "lots"}}}}, "/operator/resources"),
        ({"watchNamespaces": ["A_b"]}, "/watchNamespaces/0"),
        ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
        ({"image": {"operator": {"tag": "a b"}}}, "/image/operator/tag"),
        ({"image": {"runtime": {"digest": "sha256:12"}}}, "/image/runtime/digest"),
        ({"registry": {"enabled": False}}, "/registry/external"),
        ({"registry": {"external": {"url": "http://r.example"}}}, "/registry/external/url"),
        ({"huggingFace": {"endpoint": "hub.example"}}, "/huggingFace/endpoint"),
        ({"networkPolicy": {"apiServerPorts": []}}, "/networkPolicy/apiServerPorts"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(
    helm: Helm, values: dict[str, Any], named: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.text(values)

    assert named in str(refused.value)
