"""Refusals: the first violation, in a sentence that says what to do; nothing is touched."""

from typing import Any

import pytest

from llm_operator.reconcile.plan import plan
from llm_operator.reconcile.policies import check_spec
from support import worlds
from support.simulated_cluster import SimulatedCluster

GPU = {"limits": {"nvidia.com/gpu": 1}}


def conditions(status: Any) -> dict[str, Any]:
    return {condition["type"]: condition for condition in status["status"]["conditions"]}


@pytest.mark.parametrize(
    ("spec", "reason", "names"),
    [
        ({"model": {"source": {}}}, "InvalidSpec", "exactly one of"),
        ({"runtime": {"device": "cuda"}}, "UnsupportedCombination", "spec.runtime.device"),
        ({"runtime": {"resources": GPU}}, "UnsupportedCombination", "nvidia.com/gpu"),
        (
            {"runtime": {"resources": {"requests": {"amd.com/gpu": "2"}}, "device": "auto"}},
            "UnsupportedCombination",
            "amd.com/gpu",
        ),
    ],
)
def test_a_spec_that_cannot_work_is_refused_with_the_field(
    spec: dict[str, Any], reason: str, names: str
) -> None:
    made = plan(worlds.world(spec))
    assert made.status is not None
    found = conditions(made.status)
    assert made.writes == ()
    assert found["Accepted"]["status"] == found["Ready"]["status"] == "False"
    assert found["Accepted"]["reason"] == found["Stalled"]["reason"] == reason
    assert names in found["Ready"]["message"]
    assert made.status["status"]["observedGeneration"] == 1


@pytest.mark.parametrize(
    "runtime",
    [
        {"device": "cpu"},
        {"device": "cpu", "resources": GPU},
        {"device": "auto"},
        {"resources": {"limits": {"nvidia.com/gpu": 0}}},
    ],
)
def test_a_cpu_is_accepted_also_beside_a_gpu(runtime: dict[str, Any]) -> None:
    assert check_spec(worlds.world({"runtime": runtime})) is None


def test_a_name_that_leaves_no_room_for_children_is_refused() -> None:
    refusal = check_spec(worlds.world(name="a" * 41))
    assert refusal is not None
    assert "metadata.name" in refusal.message


def foreign(kind: str, name: str, owner: dict[str, Any] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": "theirs"}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


@pytest.mark.parametrize("where", ["strangers", "children"])
def test_a_foreign_object_under_a_childs_name_is_named_and_left_alone(where: str) -> None:
    theirs = foreign("Service", "demo", None)
    there: dict[str, Any] = {where: (theirs,)}
    made = plan(worlds.world(**there))
    assert made.status is not None
    found = conditions(made.status)["Accepted"]
    assert made.writes == ()
    assert (found["status"], found["reason"]) == ("False", "InvalidSpec")
    assert "Service demo exists already" in found["message"]


def test_children_of_a_deleted_namesake_are_waited_for() -> None:
    owner = {"kind": "LLMDeployment", "name": "demo", "uid": "before", "controller": True}
    made = plan(worlds.world(children=(foreign("Service", "demo", owner),)))
    assert made.status is not None
    found = conditions(made.status)
    assert made.writes == ()
    assert found["Accepted"]["status"] == "Unknown"
    assert "Reconciling" in found
    assert made.requeue_after is not None


def test_an_object_that_is_being_deleted_is_left_to_the_garbage_collector() -> None:
    raw = worlds.manifest()
    raw["metadata"]["deletionTimestamp"] = "2027-01-01T12:00:00Z"
    made = plan(worlds.world(deployment=worlds.parse(raw)))
    assert made.is_empty


def test_a_refused_change_leaves_what_runs_alone() -> None:
    found = SimulatedCluster(worlds.manifest({"replicas": 2}))
    found.settle()
    found.edit(runtime={"device": "cuda"})
    found.settle()
    assert found.available() == 2
    assert found.deployment["status"]["readyReplicas"] == 2
    assert "artifactDigest" in found.deployment["status"]["model"]
