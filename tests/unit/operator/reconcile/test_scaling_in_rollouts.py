"""Fewer pods while the revision that the spec asks for carries nothing yet: those that serve belong
to the one before it, and they drain, stay and come back as its own would."""

from collections.abc import Mapping
from typing import Any

import pytest

from llm_operator.autoscale.signals import FIRST_WORD_SECONDS, PodState, Silence
from llm_operator.drain.victims import DRAINED_COST
from llm_operator.reconcile.actions import Drain, Plan, Undrain
from llm_operator.reconcile.pods import deletion_cost
from llm_operator.reconcile.world import Activation
from llm_operator.render import names
from support import worlds
from support.simulated_cluster import SimulatedCluster

MISSING = {
    "step": "fetch",
    "ok": False,
    "reason": "SourceNotFound",
    "message": "hub.example has no such repository",
    "retryable": False,
}
TYPO = {"model": {"source": {"uri": "hf://llm/dmeo"}}}
BROKEN = {"runtime": {"maxQueue": 7}}
NO_ACTIVATOR = Activation(port=20_017)


def serving(pods: int) -> SimulatedCluster:
    """An LLMDeployment that may be scaled to zero and serves with so many pods."""
    autoscaling = {"minReplicas": 0, "maxReplicas": 4}
    manifest = worlds.manifest({"replicas": pods, "autoscaling": autoscaling})
    cluster = SimulatedCluster(manifest, settings=worlds.settings(has_activator=True))
    cluster.around["activation"] = Activation(port=20_017, addresses=("10.0.0.7",))
    want(cluster, pods)
    cluster.settle()
    return cluster


def revised(pods: int, change: Mapping[str, Any]) -> tuple[SimulatedCluster, str]:
    """That, and a revision after it that never serves; returns the one that does."""
    cluster = serving(pods)
    stable = str(cluster.deployment["status"]["stableRevision"])
    cluster.export_results = [MISSING] * 9
    cluster.edit(**change)
    cluster.reconcile()
    cluster.broken.add(cluster.deployment["status"]["currentRevision"])
    run(cluster, 10)
    assert cluster.deployment["status"]["stableRevision"] == stable
    assert cluster.available(stable) == pods
    return cluster, stable


def want(cluster: SimulatedCluster, pods: int) -> None:
    cluster.around["decision"] = worlds.decision(pods, cluster.now)


def run(cluster: SimulatedCluster, rounds: int) -> list[Plan]:
    made = []
    for _ in range(rounds):
        made.append(cluster.reconcile())
        cluster.step()
    return made


def replicas(cluster: SimulatedCluster, hash8: str) -> int:
    found = cluster.objects["Deployment", names.revision("demo", hash8)]["spec"]["replicas"]
    return int(found)


def count(made: list[Plan], kind: type) -> int:
    return sum(isinstance(write, kind) for plan in made for write in plan.writes)


never_serves = pytest.mark.parametrize("change", [TYPO, BROKEN], ids=["export fails", "broken"])


@never_serves
def test_pods_that_are_too_many_drain_first(change: Mapping[str, Any]) -> None:
    cluster, stable = revised(3, change)
    want(cluster, 1)
    made = run(cluster, 20)
    assert (cluster.available(stable), replicas(cluster, stable), cluster.cut) == (1, 1, 0)
    assert count(made, Drain) == 2


@never_serves
def test_the_idlest_pod_goes_and_only_when_its_last_answer_has_ended(
    change: Mapping[str, Any],
) -> None:
    cluster, stable = revised(2, change)
    busy, idle = (pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable))
    cluster.requests = {busy: 3, idle: 1}
    want(cluster, 1)
    run(cluster, 10)
    assert cluster.drains[idle] is PodState.DRAINING
    assert replicas(cluster, stable) == 2
    cluster.requests[idle] = 0
    run(cluster, 10)
    assert [pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable)] == [busy]


@never_serves
def test_demand_that_returns_takes_the_drain_back(change: Mapping[str, Any]) -> None:
    cluster, stable = revised(2, change)
    before = {pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable)}
    cluster.requests = dict.fromkeys(before, 1)
    want(cluster, 1)
    run(cluster, 10)
    want(cluster, 2)
    assert count(run(cluster, 5), Undrain) == 1
    assert {pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable)} == before
    assert (cluster.available(stable), cluster.cut) == (2, 0)


@never_serves
def test_without_a_ready_activator_the_last_pod_stays(change: Mapping[str, Any]) -> None:
    cluster, stable = revised(1, change)
    cluster.around["activation"] = NO_ACTIVATOR
    want(cluster, 0)
    made = run(cluster, 20)
    assert (cluster.available(stable), replicas(cluster, stable)) == (1, 1)
    assert count(made, Drain) == 0


@never_serves
def test_the_activator_is_in_the_path_before_the_last_pod_drains(
    change: Mapping[str, Any],
) -> None:
    cluster, stable = revised(1, change)
    want(cluster, 0)
    made = [cluster.reconcile()]
    found = {name for kind, name in cluster.objects if kind == "EndpointSlice"}
    services = (names.service("demo"), names.revision("demo", stable))
    assert found >= {names.activator_slice(service) for service in services}
    assert (count(made, Drain), replicas(cluster, stable)) == (0, 1)
    made = run(cluster, 20)
    assert (count(made, Drain), cluster.available(), cluster.cut) == (1, 0, 0)
    assert replicas(cluster, stable) == 0
    want(cluster, 1)
    run(cluster, 5)
    assert cluster.available(stable) == 1
    assert not [name for kind, name in cluster.objects if kind == "EndpointSlice"]


def test_the_drained_pods_of_a_revision_without_a_record_end_with_its_deployment() -> None:
    cluster, stable = revised(2, TYPO)
    del cluster.objects["ControllerRevision", names.revision("demo", stable)]
    want(cluster, 0)
    run(cluster, 20)
    assert (cluster.available(), cluster.cut) == (0, 0)
    assert not [name for kind, name in cluster.objects if kind == "Deployment"]


def test_a_report_that_may_just_be_late_is_waited_for_while_an_export_fails() -> None:
    cluster, stable = revised(2, TYPO)
    late = next(pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable))
    cluster.deaf = {late}
    cluster.around["silences"] = {late: Silence(1.0, is_first=True)}
    want(cluster, 1)
    made = cluster.reconcile()
    assert (count([made], Drain), made.requeue_after) == (0, FIRST_WORD_SECONDS)


def test_a_pod_of_a_cordoned_node_is_replaced_while_an_export_fails() -> None:
    cluster, stable = revised(1, TYPO)
    (old,) = cluster.runtime_pods(stable)
    old["spec"] = {"nodeName": "node1"}
    cluster.around["leaving_nodes"] = {"node1": cluster.now}
    fewest = 1
    for _ in range(20):
        run(cluster, 1)
        fewest = min(fewest, cluster.available(stable))
    assert (fewest, cluster.cut) == (1, 0)
    assert old["metadata"]["name"] not in cluster.pods


def test_a_new_revision_that_serves_takes_over_from_pods_that_drain() -> None:
    cluster, stable = revised(3, BROKEN)
    cluster.requests = {pod["metadata"]["uid"]: 1 for pod in cluster.runtime_pods(stable)}
    want(cluster, 2)
    run(cluster, 5)
    cluster.broken.clear()
    cluster.requests.clear()
    cluster.settle()
    new = cluster.deployment["status"]["stableRevision"]
    assert new != stable
    assert (cluster.available(new), cluster.available()) == (2, 2)


def test_a_pod_that_does_not_answer_is_pointed_at_and_ended_while_an_export_fails() -> None:
    cluster, stable = revised(2, TYPO)
    cluster.deaf = {pod["metadata"]["uid"] for pod in cluster.runtime_pods(stable)}
    want(cluster, 1)
    cluster.reconcile()
    assert sorted(map(deletion_cost, cluster.runtime_pods(stable))) == [DRAINED_COST, 0]
    run(cluster, 10)
    assert cluster.available(stable) == 1
