"""Faults under an autoscaler that acts on what it sees: none scales the wrong way, none cuts an
answer off. The whole loop runs, on a simulated cluster and clock."""

import math
from typing import Any

import pytest

from llm_operator.autoscale.signals import PodState, Silence
from llm_operator.reconcile.actions import Apply, Drain, Undrain
from support.autoscaled_cluster import STREAMS_OF_A_POD, AutoscaledCluster, autoscaled
from support.simulated_cluster import NODE

SOON = {"scaleDown": {"stabilizationWindowSeconds": 0}}
"""Nothing but the safeguards themselves holds a scale-down back."""


def draining_one(streams_of_the_victim: int = 2) -> AutoscaledCluster:
    """Three pods of which one drains and still answers; two are wanted."""
    made = autoscaled(3, 9, autoscaling=SOON)
    made.streams, made.answers_end = 4, False
    for _ in range(100):
        made.tick(step=3)
        if (draining := made.draining()) and len(draining) == 1:
            break
    (victim,) = draining
    made.cluster.requests[victim] = streams_of_the_victim
    made.run(5)
    assert made.cluster.drains[victim] is PodState.DRAINING
    made.forget()
    return made


def victim_of(made: AutoscaledCluster) -> str:
    (uid,) = made.draining()
    return uid


def test_a_burst_that_a_restart_interrupts_gets_all_its_pods_and_keeps_them() -> None:
    made = autoscaled(2, 6)
    made.streams = 34
    made.run(2)
    made.restart()
    made.run(60)
    wishes = [decision.desired for decision in made.decisions]
    assert wishes == sorted(wishes)
    assert made.desired == math.ceil(34 / STREAMS_OF_A_POD)


def test_a_restart_in_a_quiet_hour_scales_nothing_down_before_it_has_seen_a_window() -> None:
    made = autoscaled(3, 9, autoscaling=SOON)
    made.streams = 0
    made.restart()
    made.run(59)
    assert made.wishes == {3}


def test_a_pod_that_a_new_leader_finds_draining_is_the_one_that_leaves() -> None:
    made = draining_one()
    victim = victim_of(made)
    made.restart()
    made.run(30)
    assert made.draining() == [victim]
    made.cluster.requests[victim] = 0
    made.run(30)
    assert victim not in made.uids()
    assert (len(made.uids()), made.cluster.cut) == (2, 0)


@pytest.mark.parametrize("seconds", [2, 8])
def test_a_new_leader_that_has_heard_nobody_yet_takes_no_pod(seconds: int) -> None:
    made = draining_one()
    uids, victim = made.uids(), victim_of(made)
    costs = [pod["metadata"].get("annotations") for pod in made.runtime_pods()]
    made.restart()
    made.cluster.deaf = uids
    made.cluster.around["silences"] = {uid: Silence(1.0, is_first=True) for uid in uids}
    made.run(seconds)
    assert [pod["metadata"].get("annotations") for pod in made.runtime_pods()] == costs
    assert made.uids() == uids
    made.cluster.deaf, made.cluster.around["silences"] = set(), {}
    made.run(5)
    assert made.draining() == [victim]


def test_demand_that_returns_in_mid_drain_brings_the_victim_back_and_no_new_pod() -> None:
    made = draining_one()
    before = made.uids()
    made.streams = 9
    made.run(90)
    assert made.draining() == []
    assert made.uids() == before
    assert made.wishes == {2, 3}
    assert made.cluster.cut == 0


def test_the_victim_comes_back_before_a_further_pod_is_made() -> None:
    made = draining_one()
    made.streams = 30
    made.run(10)
    grows = next(p for p in made.plans if any(isinstance(w, Undrain) for w in p.writes))
    kinds = [
        type(write)
        for write in grows.writes
        if not isinstance(write, Apply) or write.manifest["kind"] == "Deployment"
    ]
    assert kinds.index(Undrain) < kinds.index(Apply)


def test_a_victim_whose_node_is_lost_is_the_pod_that_goes() -> None:
    made = draining_one()
    victim = victim_of(made)
    name = next(n for n, p in made.cluster.pods.items() if p["metadata"]["uid"] == victim)
    made.cluster.pods[name]["spec"] = {"nodeName": "lost"}
    others = made.uids() - {victim}
    made.cluster.lose("lost")
    made.run(60)
    assert made.uids() == others
    assert made.wishes == {2}


def test_a_node_that_takes_a_serving_pod_away_changes_no_wish() -> None:
    made = autoscaled(4, 12, autoscaling=SOON)
    made.runtime_pods()[0]["spec"] = {"nodeName": "lost"}
    made.cluster.lose("lost")
    made.run(300, step=5)
    assert min(made.wishes) >= 4
    assert made.draining() == []


def test_siblings_that_only_start_go_before_any_pod_drains() -> None:
    made = autoscaled(2, 6, autoscaling=SOON)
    old = made.uids()
    made.cluster.startup = 10_000
    made.streams = 12
    made.run(20)
    assert made.desired == 4
    made.streams = 4
    made.run(300, step=5)
    assert made.uids() == old
    assert not any(isinstance(write, Drain) for plan in made.plans for write in plan.writes)


def test_the_object_may_be_deleted_in_mid_drain() -> None:
    made = draining_one()
    made.cluster.deployment["metadata"]["deletionTimestamp"] = "2027-01-01T12:30:00Z"
    made.streams = 30
    made.run(10)
    assert all(plan.is_empty for plan in made.plans)


def test_metrics_that_are_all_lost_hold_what_there_is() -> None:
    made = autoscaled(3, 9, autoscaling=SOON)
    made.cluster.deaf = made.uids()
    made.streams = 0
    made.run(600, step=5)
    assert made.wishes == {3}
    assert made.reason() == "MetricsUnavailable"
    made.cluster.deaf = set()
    made.streams = 9
    made.run(120, step=5)
    assert (made.wishes, made.reason()) == ({3}, "ScalingActive")


def test_one_unready_pod_neither_adds_nor_takes_pods() -> None:
    made = autoscaled(4, 12, autoscaling=SOON)
    uid = made.runtime_pods()[0]["metadata"]["uid"]
    made.cluster.drains[uid] = PodState.FAILED  # its readiness says no
    made.run(300, step=5)
    assert made.wishes <= {4, 5}
    assert made.cluster.cut == 0


@pytest.mark.parametrize(
    "lie",
    [
        {"running": -4},
        {"running": 4000},
        {"waiting": 1 << 24},
        {"tokens_held": 1 << 40},
        {"prompt_tokens_queued": -(1 << 40)},
        {"mean_output": math.nan},
        {"mean_prompt": math.inf},
        {"first_token_p90": 1e9},
        {"received": -1},
    ],
    ids=str,
)
def test_a_pod_that_lies_scales_nothing(lie: dict[str, Any]) -> None:
    made = autoscaled(4, 12, autoscaling=SOON)
    made.cluster.lies[made.runtime_pods()[0]["metadata"]["uid"]] = lie
    made.run(300, step=5)
    assert made.wishes == {4}


def test_a_hundred_pods_wait_for_a_node_that_comes_after_four_minutes() -> None:
    made = autoscaled(50, 165, autoscaling={"maxReplicas": 200})
    made.cluster.room = 50
    made.streams = 335
    needed = math.ceil(335 / STREAMS_OF_A_POD)
    made.run(240, step=5)
    assert made.desired == needed
    assert len(made.uids()) == needed
    assert made.reason() == "ScalingActive"
    made.cluster.room = 1000
    made.run(120, step=5)
    assert made.cluster.available() == needed
    assert max(made.wishes) == needed
    assert sorted(d.desired for d in made.decisions) == [d.desired for d in made.decisions]


def test_nodes_that_never_come_stop_raises_after_the_capacity_timeout() -> None:
    made = autoscaled(2, 6, rollout={"capacityTimeoutSeconds": 60})
    made.cluster.room = 2
    made.streams = 12
    made.run(30)
    assert (made.desired, made.reason()) == (4, "ScalingActive")
    made.run(60)
    assert made.reason("CapacityAvailable") == "Unschedulable"
    made.streams = 60
    made.run(60)
    assert (made.desired, made.reason()) == (4, "CapacityLimited")


def test_a_cluster_autoscaler_that_says_no_stops_raises_at_once() -> None:
    made = autoscaled(2, 6)
    made.cluster.room = 2
    made.streams = 12
    made.run(10)
    assert made.desired == 4
    made.cluster.around["is_scale_up_refused"] = True
    made.streams = 60
    made.run(10)
    assert (made.desired, made.reason()) == (4, "CapacityLimited")
    made.cluster.room, made.cluster.around["is_scale_up_refused"] = 100, False
    made.run(30)
    assert (made.desired, made.reason()) == (math.ceil(60 / STREAMS_OF_A_POD), "ScalingActive")


def test_a_quota_stops_raises_at_once_and_is_told() -> None:
    made = autoscaled(2, 6)
    made.cluster.quota = 3
    made.streams = 12
    made.run(10)
    made.streams = 60
    made.run(30)
    assert (made.desired, made.reason()) == (4, "CapacityLimited")
    assert made.reason("CapacityAvailable") == "QuotaExceeded"
    told = [event.reason for plan in made.plans for event in plan.events]
    assert told.count("AutoscalingLimited") == 1


def test_pods_without_a_node_are_asked_about_again_and_again() -> None:
    made = autoscaled(2, 6)
    assert made.plans == []
    made.cluster.room = 2
    made.streams = 12
    made.run(10)
    assert made.plans[-1].requeue_after == 10.0
    made.cluster.room = 10
    made.run(10)
    assert made.plans[-1].requeue_after is None


def test_a_cordoned_node_gets_its_pods_replaced_before_they_drain() -> None:
    made = autoscaled(2, 6, autoscaling=SOON)
    old = made.uids()
    for pod in made.runtime_pods():
        pod["spec"] = {"nodeName": "leaving"}
    made.cluster.around["leaving_nodes"] = {"leaving": made.cluster.now}
    fewest = 2
    for _ in range(60):
        made.tick()
        fewest = min(fewest, made.cluster.available())
    assert fewest == 2
    assert not made.uids() & old
    assert (made.wishes, made.cluster.cut) == ({2}, 0)
    assert {pod["spec"]["nodeName"] for pod in made.runtime_pods()} == {NODE}


def test_a_drain_that_cut_answers_off_is_told_once() -> None:
    made = draining_one()
    victim = victim_of(made)
    made.run(3)
    made.cluster.cut_off[victim], made.cluster.requests[victim] = 2, 0
    made.run(20)
    told = [e for plan in made.plans for e in plan.events if e.reason == "DrainTimedOut"]
    assert [(e.type, "2 requests" in e.message) for e in told] == [("Warning", True)]


def test_a_drain_that_ended_in_time_is_no_news() -> None:
    made = draining_one()
    made.cluster.requests[victim_of(made)] = 0
    made.run(20)
    assert not [e for plan in made.plans for e in plan.events if e.reason == "DrainTimedOut"]
