"""The typed object: everything readable is read, nothing bad raises."""

from typing import Any

import pytest

from llm_operator.api.llmdeployment import LLMDeploymentSpec, parse_llmdeployment
from support import worlds


def spec_of(**spec: Any) -> LLMDeploymentSpec:
    parsed = parse_llmdeployment(worlds.manifest(spec))
    assert parsed.invalid is None, parsed.invalid
    assert parsed.spec is not None
    return parsed.spec


def test_the_minimal_object_gets_the_documented_defaults() -> None:
    spec = spec_of()
    assert spec.replicas == 1
    assert spec.drain.timeout_seconds == 300
    assert spec.service.port == 50051
    assert spec.rollout.revision_history_limit == 5
    assert spec.model.artifact.mode == "Fetch"


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ({"uri": "hf://a/b"}, "hf://a/b@main"),
        ({"huggingFace": {"repo": "a/b", "revision": "v1"}}, "hf://a/b@v1"),
        ({"persistentVolumeClaim": {"claimName": "c", "path": "/x/"}}, "pvc://c/x"),
        ({"http": {"url": "https://h/x", "sha256": "0" * 64}}, f"https://h/x#sha256={'0' * 64}"),
    ],
)
def test_long_and_short_forms_of_a_source_are_the_same(source: dict[str, Any], uri: str) -> None:
    assert spec_of(model={"source": source}).model.source.resolve().uri == uri


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({"model": {}}, "spec.model.source"),
        ({"model": {"source": {}}}, "exactly one of uri"),
        ({"model": {"source": {"uri": "hf://a/b", "http": {"url": "x"}}}}, "spec.model.source"),
        ({"model": {"source": {"uri": "https://h/x"}}}, "digest"),
        ({"replicas": -1}, "spec.replicas"),
        ({"runtime": {"device": "tpu"}}, "spec.runtime.device"),
        ({"tomorrow": {}}, "spec.tomorrow: this version of the operator does not know"),
        ({"autoscaling": {}}, "spec.autoscaling.maxReplicas: Field required"),
        ({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}, "minReplicas is greater than"),
    ],
)
def test_a_bad_spec_names_its_field_and_raises_nothing(spec: dict[str, Any], names: str) -> None:
    parsed = parse_llmdeployment(worlds.manifest(spec))
    assert parsed.spec is None
    assert names in (parsed.invalid or "")
