"""The demo changes and removes only namespaces that it made."""

import json
from typing import Any, cast

import pytest
from demo.kubectl import Kubectl
from demo.story import NotOursError, Stage, install, is_ours


class Cluster:
    """Answers `kubectl get namespace` from what is there, and notes everything else."""

    def __init__(self, namespaces: dict[str, dict[str, str]]) -> None:
        self._namespaces = namespaces
        self.changes: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str, **_: Any) -> str:
        if arguments[:2] != ("get", "namespace"):
            self.changes.append(arguments)
            return ""
        labels = self._namespaces.get(arguments[2])
        return "" if labels is None else json.dumps({"metadata": {"labels": labels}})

    def apply(self, manifest: str, *arguments: str) -> str:
        self.changes.append((manifest, *arguments))
        return ""


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(None, True), ({"llm-operator.dev/demo": "true"}, True), ({"team": "a"}, False)],
    ids=["not there", "the demo's", "somebody's"],
)
def test_a_namespace_is_the_demos_by_its_label(
    labels: dict[str, str] | None, expected: bool
) -> None:
    there = {} if labels is None else {"llm-system": labels}
    assert is_ours(cast(Kubectl, Cluster(there)), "llm-system") is expected


def test_an_operator_that_somebody_installed_is_not_touched() -> None:
    cluster = Cluster({"llm-system": {}})
    stage = Stage(cast(Kubectl, cluster), images=cast(Any, None))
    with pytest.raises(NotOursError, match="llm-system was not made by the demo"):
        install(stage)
    assert cluster.changes == []
