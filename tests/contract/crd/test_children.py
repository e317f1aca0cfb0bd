"""The children that are rendered, on a real API server: taken as they are, and then left alone."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from llm_operator.api.llmdeployment import parse_llmdeployment
from llm_operator.reconcile.actions import Apply, Delete, Write
from llm_operator.reconcile.plan import plan
from llm_operator.reconcile.world import World
from support import worlds

from .conftest import NAMESPACE, Kubectl

pytestmark = pytest.mark.timeout(180)

KINDS = (
    "configmaps,serviceaccounts,services,controllerrevisions,deployments,jobs,"
    "poddisruptionbudgets,networkpolicies,grpcroutes"
)

RICH = {
    "model": {
        "source": {"uri": "pvc://claim/model"},
        "name": "served/name",
        "credentials": {"secretRef": {"name": "token"}},
        "export": {"resources": {"limits": {"memory": "2048Mi", "ephemeral-storage": "1.5Gi"}}},
    },
    "runtime": {
        "env": [
            {"name": "EMPTY", "value": ""},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "envFrom": [{"secretRef": {"name": "more", "optional": True}}],
        "resources": {
            "limits": {"cpu": "1000m", "memory": "1024Mi", "nvidia.com/gpu": 1},
            "requests": {"cpu": "0.50"},
        },
        "device": "cpu",
        "maxQueue": 0,
    },
    "identity": {"imagePullSecrets": [{"name": "pull"}]},
    "scheduling": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}
                ]
            }
        },
    },
    "service": {"annotations": {"team": "blue"}, "type": "NodePort"},
    "disruption": {"maxUnavailable": "50%"},
    "routing": {
        "gateway": {
            "parentRefs": [
                {"name": "public", "namespace": "infra", "sectionName": "grpc", "port": 443},
                {"name": "public"},
            ],
            "hostnames": ["*.example.com"],
        }
    },
    "replicas": 2,
}

SPECS: Mapping[str, dict[str, Any]] = {
    "minimal": {"model": {"source": {"uri": "hf://llm/demo@main"}}},
    "routed": {
        "model": {"source": {"uri": "hf://llm/demo@main"}},
        "routing": {"gateway": {"parentRefs": [{"name": "public"}]}},
    },
    "rich": RICH,
    "image-volume": {
        "model": {"source": {"uri": "hf://llm/demo"}, "artifact": {"mode": "ImageVolume"}},
        "suspend": False,
    },
}


@contextmanager
def existing(kubectl: Kubectl, spec: str) -> Iterator[str]:
    """The name of an LLMDeployment that exists; each test has its own, nothing is waited for."""
    name = f"{spec}-{uuid.uuid4().hex[:8]}"
    given = {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": SPECS[spec],
    }
    kubectl.must("create", "-f", "-", given=given)
    yield name
    kubectl.must("delete", "llmd", name)


@pytest.fixture(params=list(SPECS))
def name(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    with existing(kubectl, request.param) as made:
        yield made


@pytest.fixture
def rich(kubectl: Kubectl) -> Iterator[str]:
    with existing(kubectl, "rich") as made:
        yield made


def read(kubectl: Kubectl, name: str) -> World:
    """The World as the API server has it; an export Job counts as succeeded."""
    raw = kubectl.must("get", "llmd", name, "-o", "json").json
    label = f"llm-operator.dev/deployment={name}"
    children = kubectl.must("get", KINDS, "-l", label, "-o", "json").json["items"]
    jobs = [child for child in children if child["kind"] == "Job"]
    for job in jobs:
        finished = {
            "type": "Complete",
            "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        job["status"] = {"conditions": [finished]}
    return World(
        now=worlds.NOW,
        deployment=parse_llmdeployment(raw),
        settings=worlds.SETTINGS,
        control_authority=worlds.AUTHORITY,
        knows_routes=True,
        children=tuple(children),
        pods=tuple(export_pod(job) for job in jobs),
    )


def export_pod(job: Mapping[str, Any]) -> dict[str, Any]:
    result = {
        "ok": True,
        "image": "host/llm-operator/artifacts@digest",
        "digest": worlds.DIGEST,
        "sizeBytes": 5_000_000,
    }
    ended = {"exitCode": 0, "message": json.dumps(result)}
    return {
        "metadata": {
            "name": "export",
            "uid": "export",
            "labels": job["spec"]["template"]["metadata"]["labels"],
            "ownerReferences": [{"uid": job["metadata"]["uid"], "controller": True}],
        },
        "status": {
            "phase": "Succeeded",
            "containerStatuses": [{"name": "push", "state": {"terminated": ended}}],
        },
    }


def do(kubectl: Kubectl, write: Write) -> None:
    if isinstance(write, Delete):
        kubectl.must("delete", write.kind.lower(), write.name)
        return
    assert isinstance(write, Apply), write  # no pods are here that could be drained
    how = ("--server-side", "--force-conflicts", "--field-manager=llm-operator")
    kubectl.must("apply", *how, "-f", "-", given=write.manifest)


def reconcile(kubectl: Kubectl, name: str) -> int:
    """One plan, done by kubectl; returns the number of writes."""
    made = plan(read(kubectl, name))
    for write in made.writes:
        do(kubectl, write)
    if made.status is not None:
        patch = json.dumps(made.status)
        kubectl.must("patch", "llmd", name, "--subresource=status", "--type=merge", "-p", patch)
    return len(made.writes) + (made.status is not None)


def test_children_are_taken_as_they_are_and_then_left_alone(kubectl: Kubectl, name: str) -> None:
    assert reconcile(kubectl, name) > 0
    assert reconcile(kubectl, name) > 0
    assert [reconcile(kubectl, name) for _ in range(3)][-2:] == [0, 0]


def test_every_pod_meets_the_restricted_standard(kubectl: Kubectl, name: str) -> None:
    """The namespace enforces it: the API server refuses a pod that does not."""
    for _ in range(2):
        reconcile(kubectl, name)
    workloads = [c for c in read(kubectl, name).children if c["kind"] in ("Job", "Deployment")]
    assert {workload["kind"] for workload in workloads} == {"Job", "Deployment"}
    for workload in workloads:
        template = workload["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**template["metadata"], "generateName": "try-", "namespace": NAMESPACE},
            "spec": template["spec"],
        }
        kubectl.must("create", "--dry-run=server", "-f", "-", given=pod)


def edit(kubectl: Kubectl, name: str, **spec: Any) -> None:
    kubectl.must("patch", "llmd", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def numbers(kubectl: Kubectl, name: str) -> list[int]:
    """The numbers of the revisions on record."""
    records = (c for c in read(kubectl, name).children if c["kind"] == "ControllerRevision")
    return sorted(record["revision"] for record in records)


def test_going_back_renumbers_a_record_whose_data_never_changes(
    kubectl: Kubectl, rich: str
) -> None:
    for length in (None, 7, None):
        edit(kubectl, rich, routing={"requestTimeoutSeconds": length})
        for _ in range(3):
            reconcile(kubectl, rich)
    assert numbers(kubectl, rich) == [2, 3]
    assert reconcile(kubectl, rich) == 0


def test_a_route_is_set_back_and_goes_with_its_gateway(kubectl: Kubectl, rich: str) -> None:
    for _ in range(2):
        reconcile(kubectl, rich)
    (rule,) = kubectl.must("get", "grpcroute", rich, "-o", "json").json["spec"]["rules"]
    rule["backendRefs"].append({"name": "stranger", "port": 1})
    drift = json.dumps({"spec": {"rules": [rule], "hostnames": []}})
    kubectl.must("patch", "grpcroute", rich, "--type=merge", "-p", drift)
    assert reconcile(kubectl, rich) > 0
    assert plan(read(kubectl, rich)).writes == ()
    edit(kubectl, rich, routing={"gateway": None})
    assert reconcile(kubectl, rich) > 0
    assert not kubectl("get", "grpcroute", rich).is_ok


def test_a_drifted_child_is_set_back_under_its_uid(kubectl: Kubectl, rich: str) -> None:
    for _ in range(2):
        reconcile(kubectl, rich)
    selector = {"spec": {"selector": {"llm-operator.dev/deployment": "other"}}}
    kubectl.must("patch", "service", rich, "--type=merge", "-p", json.dumps(selector))
    (write,) = plan(read(kubectl, rich)).writes
    assert isinstance(write, Apply)
    assert write.uid == write.manifest["metadata"]["uid"]
    assert reconcile(kubectl, rich) > 0
    assert plan(read(kubectl, rich)).writes == ()
