"""Names of revisions: the user's intent, normalised, and nothing else."""

from typing import Any

import pytest

from llm_operator.api.llmdeployment import LLMDeployment, LLMDeploymentSpec, parse_llmdeployment
from llm_operator.render.revision import (
    export_key,
    export_settings_hash,
    intent_of,
    revision_hash,
)
from support import worlds

FULL = {
    "model": {
        "source": {
            "huggingFace": {
                "repo": "org/model",
                "revision": "v1",
                "endpoint": "https://hub.example",
            }
        },
        "name": "served",
        "artifact": {"mode": "ImageVolume"},
    },
    "runtime": {
        "image": "registry.example/runtime:1",
        "imagePullPolicy": "Always",
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}},
        "maxContextLength": 4096,
        "maxConcurrentSequences": 8,
        "maxQueue": 16,
        "maxQueuedTokens": 65536,
    },
    "drain": {"timeoutSeconds": 60},
    "service": {"port": 8080},
    "routing": {"requestTimeoutSeconds": 30, "maxConnectionAgeSeconds": 120},
    "identity": {"serviceAccountName": "own", "imagePullSecrets": [{"name": "pull"}]},
    "scheduling": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "topologySpreadConstraints": [],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
    },
}


def read(spec: dict[str, Any], uri: str = "hf://llm/demo@main") -> tuple[LLMDeployment, Any]:
    deployment = parse_llmdeployment(worlds.manifest(spec, uri=uri))
    assert isinstance(deployment.spec, LLMDeploymentSpec), deployment.invalid
    return deployment, deployment.spec


def hash_of(spec: dict[str, Any], uri: str = "hf://llm/demo@main") -> str:
    return revision_hash(intent_of(*read(spec, uri)))


@pytest.mark.parametrize(
    ("spec", "revision", "export"),
    [({}, "a4df99e8", "8951fc48"), (FULL, "cb94f1bb", "6736804f")],
    ids=["minimal", "full"],
)
def test_the_hashes_of_release_0_1_never_change(
    spec: dict[str, Any], revision: str, export: str
) -> None:
    """Golden. Another value here would roll every pod of every user on upgrade."""
    assert hash_of(spec) == revision
    assert export_key(read(spec)[1]) == export


@pytest.mark.parametrize(
    "spec",
    [
        {"drain": {"timeoutSeconds": 300}},
        {"drain": {}},
        {"runtime": {"device": "cpu"}},
        {"runtime": {"device": "auto", "env": [], "resources": {"limits": {}}}},
        {"model": {"source": {"uri": "hf://llm/demo"}, "name": "demo"}},
        {"model": {"source": {"uri": "hf://llm/demo"}, "export": {"precision": "auto"}}},
        {"model": {"source": {"uri": "hf://llm/demo"}, "export": {"precision": "fp32"}}},
        {"model": {"source": {"huggingFace": {"repo": "llm/demo"}}}},
        {"service": {"port": 50051}, "scheduling": {"nodeSelector": {}}},
    ],
)
def test_a_default_that_is_written_out_changes_no_hash(spec: dict[str, Any]) -> None:
    assert hash_of(spec) == hash_of({})


@pytest.mark.parametrize(
    "spec",
    [
        {"replicas": 5},
        {"suspend": True},
        {"rollout": {"maxSurge": 2, "revisionHistoryLimit": 1, "startupTimeoutSeconds": 60}},
        {"disruption": {"maxUnavailable": 2}},
        {"service": {"type": "LoadBalancer", "annotations": {"a": "b"}}},
        {"routing": {"policy": "RoundRobin", "gateway": {"parentRefs": [{"name": "public"}]}}},
        {
            "model": {
                "source": {"uri": "hf://llm/demo"},
                "credentials": {"secretRef": {"name": "token"}},
                "export": {"resources": {"limits": {"memory": "1Gi"}}},
            }
        },
    ],
)
def test_a_field_that_reaches_no_pod_changes_no_hash(spec: dict[str, Any]) -> None:
    assert hash_of(spec) == hash_of({})


@pytest.mark.parametrize("field", sorted(FULL))
def test_every_part_that_reaches_the_pod_is_hashed(field: str) -> None:
    assert hash_of({field: FULL[field]}) != hash_of({})


def test_equal_quantities_have_equal_hashes() -> None:
    one = {"runtime": {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}}
    other = {"runtime": {"resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}}
    assert hash_of(one) == hash_of(other)


def test_the_export_key_depends_on_the_source_and_the_export_alone() -> None:
    _, spec = read(FULL | {"model": {"source": {"uri": "hf://llm/demo"}}})
    assert export_key(spec) == export_key(read({})[1])
    assert export_key(read({}, uri="hf://llm/other")[1]) != export_key(spec)


def test_resources_and_credentials_of_the_export_are_its_settings() -> None:
    source = {"uri": "hf://llm/demo"}
    more = {"source": source, "export": {"resources": {"limits": {"memory": "2Gi"}}}}
    same = {"source": source, "export": {"resources": {"limits": {"memory": "2048Mi"}}}}
    plain, changed = read({"model": {"source": source}})[1], read({"model": more})[1]
    assert export_settings_hash(plain) != export_settings_hash(changed)
    assert export_settings_hash(changed) == export_settings_hash(read({"model": same})[1])
