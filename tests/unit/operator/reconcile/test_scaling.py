"""Fewer pods, no pod and pods of nodes that are emptied: drained first, and nobody is cut off."""

from datetime import timedelta
from typing import Any

import pytest

from llm_operator.api.conditions import ConditionType
from llm_operator.autoscale.decision import Condition
from llm_operator.autoscale.reason import ConditionReason, DecisionReason
from llm_operator.reconcile.actions import Drain, Undrain
from llm_operator.reconcile.world import Activation
from support import worlds
from support.simulated_cluster import SimulatedCluster

TO_ZERO = {"minReplicas": 0, "maxReplicas": 4}


def a_cluster(replicas: int = 1, autoscaling: dict[str, Any] | None = None) -> SimulatedCluster:
    spec: dict[str, Any] = {"replicas": replicas}
    if autoscaling is not None:
        spec["autoscaling"] = autoscaling
    settings = worlds.settings(has_activator=True, watches_nodes=True)
    cluster = SimulatedCluster(worlds.manifest(spec), settings=settings)
    if autoscaling is not None:
        cluster.around["decision"] = worlds.decision(replicas)
        cluster.around["activation"] = Activation(port=20_017, addresses=("10.0.0.7",))
    cluster.settle()
    return cluster


def condition(cluster: SimulatedCluster, kind: ConditionType) -> dict[str, Any]:
    found = cluster.deployment["status"]["conditions"]
    return next((c for c in found if c["type"] == kind), {})


def slices(cluster: SimulatedCluster) -> list[str]:
    return sorted(name for kind, name in cluster.objects if kind == "EndpointSlice")


def decide(cluster: SimulatedCluster, desired: int, **changes: Any) -> None:
    cluster.around["decision"] = worlds.decision(desired, cluster.now, **changes)


def test_fewer_replicas_drain_first_and_the_object_stays_ready() -> None:
    cluster = a_cluster(3)
    cluster.edit(replicas=1)
    for _ in range(20):
        cluster.reconcile()
        assert condition(cluster, ConditionType.READY)["status"] == "True"
        cluster.step()
    assert (cluster.available(), cluster.cut) == (1, 0)


def test_replicas_that_come_back_in_mid_drain_take_the_drain_back() -> None:
    cluster = a_cluster(2)
    cluster.edit(replicas=1)
    made = cluster.reconcile()
    assert [type(write) for write in made.writes].count(Drain) == 1
    cluster.step()
    before = set(cluster.pods)
    cluster.edit(replicas=2)
    assert any(isinstance(write, Undrain) for write in cluster.reconcile().writes)
    cluster.settle()
    assert set(cluster.pods) == before


def test_a_pod_found_draining_by_a_new_leader_is_one_that_leaves() -> None:
    cluster = a_cluster(3)
    cluster.edit(replicas=2)
    cluster.reconcile()
    for _ in range(6):  # nobody leads meanwhile
        cluster.step()
    cluster.settle()
    assert (cluster.available(), cluster.cut) == (2, 0)


def test_a_pod_that_does_not_answer_is_ended_all_the_same() -> None:
    cluster = a_cluster(2)
    cluster.deaf = {pod["metadata"]["uid"] for pod in cluster.pods.values()}
    cluster.edit(replicas=1)
    cluster.settle()
    assert cluster.available() == 1


def test_the_autoscalers_number_is_what_runs_and_spec_replicas_stays() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    decide(cluster, 3, reason=DecisionReason.BURST, message="12 requests wait")
    cluster.settle()
    assert cluster.available() == 3
    assert cluster.deployment["spec"]["replicas"] == 1
    told = cluster.deployment["status"]["autoscaling"]
    assert (told["desiredReplicas"], told["reason"]) == (3, "Burst")
    assert [(h["from"], h["to"], h["message"]) for h in told["history"]] == [
        (1, 3, "12 requests wait")
    ]


def test_a_step_of_the_autoscaler_is_told_in_its_own_sentence() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    sentence = "Scaled from 1 to 3 pods: 12 requests wait."
    decide(cluster, 3, reason=DecisionReason.BURST, message=sentence)
    told = [(event.reason, event.message) for event in cluster.reconcile().events]
    assert told == [("ScaledUp", sentence)]
    cluster.edit(suspend=True)
    told = [(event.reason, event.message) for event in cluster.reconcile().events]
    assert told == [("ScaledDown", "Scaled from 3 to 0 pods: the spec asks for it.")]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("AtMaximum", "Normal"),
        ("CapacityLimited", "Warning"),
        ("MetricsUnavailable", "Warning"),
    ],
)
def test_what_limits_the_autoscaler_is_told_once(reason: str, kind: str) -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    limited = Condition(reason != "MetricsUnavailable", ConditionReason(reason))
    decide(cluster, 1, condition=limited, reason=DecisionReason(reason), message="limited.")
    told = [event for _ in range(3) for event in cluster.reconcile().events]
    assert [(event.type, event.reason) for event in told] == [(kind, "AutoscalingLimited")]


def test_figures_that_move_write_nothing_while_the_number_stays() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    decide(cluster, 1, message="another sentence", inputs={"demand": "17"})
    assert cluster.reconcile().is_empty


def test_advice_is_told_and_not_followed() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4, "mode": "Advisory"})
    decide(cluster, 3, message="12 requests wait")
    cluster.settle()
    assert cluster.available() == 1
    active = condition(cluster, ConditionType.AUTOSCALING_ACTIVE)
    assert (active["reason"], active["message"]) == (
        "Advisory",
        "would have 3 pods: 12 requests wait",
    )


def test_blindness_is_told() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    blind = Condition(False, ConditionReason.METRICS_UNAVAILABLE)
    decide(cluster, 1, condition=blind, reason=DecisionReason.METRICS_UNAVAILABLE, message="silent")
    cluster.reconcile()
    active = condition(cluster, ConditionType.AUTOSCALING_ACTIVE)
    assert (active["status"], active["reason"]) == ("False", "MetricsUnavailable")


def test_another_autoscaler_of_the_same_object_is_told_of() -> None:
    cluster = a_cluster(1, {"maxReplicas": 4})
    cluster.around["rival"] = "HorizontalPodAutoscaler demo"
    made = cluster.reconcile()
    active = condition(cluster, ConditionType.AUTOSCALING_ACTIVE)
    assert active["reason"] == "AutoscalerConflict"
    assert [event.reason for event in made.events] == ["ConflictDetected"]


def test_on_the_way_to_zero_the_activator_is_there_before_the_last_pod_drains() -> None:
    cluster = a_cluster(1, TO_ZERO)
    assert slices(cluster) == []
    decide(cluster, 0, reason=DecisionReason.IDLE, message="idle")
    made = cluster.reconcile()
    assert slices(cluster)[-1] == "demo-activator"
    assert len(slices(cluster)) == 2  # and that of the revision's Service
    assert not any(isinstance(write, Drain) for write in made.writes)
    cluster.settle()
    assert (cluster.available(), cluster.cut) == (0, 0)
    ready = condition(cluster, ConditionType.READY)
    assert (ready["status"], ready["reason"]) == ("True", "Idle")


def test_the_activator_leaves_when_the_first_pod_serves_again() -> None:
    cluster = a_cluster(1, TO_ZERO)
    decide(cluster, 0, reason=DecisionReason.IDLE)
    cluster.settle()
    decide(cluster, 2, reason=DecisionReason.CALLS_HELD, message="3 calls are held")
    while not cluster.available():
        cluster.reconcile()
        assert slices(cluster)
        cluster.step()
    cluster.settle()
    assert slices(cluster) == []
    assert cluster.available() == 2


@pytest.mark.parametrize(
    ("reason", "event"),
    [("CallsHeld", "Activated"), ("Schedule", "ScaledUp"), ("Minimum", "ScaledUp")],
)
def test_activated_is_told_only_where_a_call_brought_the_pod_back(reason: str, event: str) -> None:
    cluster = a_cluster(1, TO_ZERO)
    decide(cluster, 0, reason=DecisionReason.IDLE)
    cluster.settle()
    decide(cluster, 1, reason=DecisionReason(reason), message="why")
    assert [told.reason for told in cluster.reconcile().events] == [event]


def test_without_a_ready_activator_the_last_pod_stays() -> None:
    cluster = a_cluster(2, TO_ZERO)
    cluster.around["activation"] = Activation(port=20_017)
    decide(cluster, 0, reason=DecisionReason.IDLE)
    cluster.settle()
    assert cluster.available() == 1


def test_zero_without_an_installed_activator_is_refused() -> None:
    cluster = SimulatedCluster(worlds.manifest({"autoscaling": TO_ZERO}))
    cluster.reconcile()
    accepted = condition(cluster, ConditionType.ACCEPTED)
    assert accepted["reason"] == "UnsupportedCombination"
    assert "activator.enabled=true" in accepted["message"]


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        ({"timeZone": "Mars/Olympus"}, "spec.autoscaling.schedules[0].timeZone"),
        ({"cron": "61 * * * *"}, "spec.autoscaling.schedules[0].cron"),
    ],
)
def test_a_schedule_that_never_comes_is_refused(schedule: dict[str, str], sentence: str) -> None:
    whole = {"cron": "0 8 * * 1-5", "durationSeconds": 3600, "minReplicas": 2, **schedule}
    spec = {"autoscaling": {"maxReplicas": 4, "schedules": [whole]}}
    cluster = SimulatedCluster(worlds.manifest(spec))
    cluster.reconcile()
    assert sentence in condition(cluster, ConditionType.ACCEPTED)["message"]


def cordoned(cluster: SimulatedCluster) -> None:
    """All pods are on a node that is being emptied; new ones come to another."""
    for pod in cluster.pods.values():
        pod["spec"] = {"nodeName": "node1"}
    cluster.around["leaving_nodes"] = {"node1": cluster.now}


def budget(cluster: SimulatedCluster) -> object:
    return cluster.objects["PodDisruptionBudget", "demo"]["spec"]["maxUnavailable"]


def test_a_pod_of_a_cordoned_node_is_replaced_before_it_goes() -> None:
    cluster = a_cluster(1)
    old = {name for name in cluster.pods if "export" not in name}
    cordoned(cluster)
    fewest = 1
    for _ in range(20):
        cluster.reconcile()
        cluster.step()
        fewest = min(fewest, cluster.available())
    assert fewest == 1
    assert not old & set(cluster.pods)
    assert (cluster.available(), cluster.cut) == (1, 0)


def test_a_single_pod_is_nobodys_to_evict_until_its_replacement_takes_too_long() -> None:
    cluster = a_cluster(1)
    assert budget(cluster) == 0
    cordoned(cluster)
    cluster.broken = {cluster.deployment["status"]["currentRevision"]}
    made = cluster.reconcile()
    assert budget(cluster) == 0
    assert made.requeue_after == 900
    cluster.now += timedelta(seconds=901)
    cluster.reconcile()
    assert budget(cluster) == 1


def test_where_nodes_are_not_watched_a_single_pod_may_be_evicted() -> None:
    """Nobody would replace it first: a drain of its node would wait for ever."""
    cluster = a_cluster(1)
    assert budget(cluster) == 0
    cluster.settings = worlds.settings(has_activator=True, watches_nodes=False)
    cluster.settle()
    assert budget(cluster) == 1


def test_two_pods_may_be_evicted_one_at_a_time() -> None:
    assert budget(a_cluster(2)) == 1
