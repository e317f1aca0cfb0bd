"""A canary from the change of the spec to the last pod of the old revision."""

from contextlib import suppress
from typing import Any

import pytest

from llm_operator.api.llmdeployment import ROLLOUT_ACTION
from llm_operator.reconcile.actions import Plan
from llm_operator.reconcile.canary import LONGEST_GOODBYE_SECONDS
from llm_operator.rollout.clients import Clients, ClientTraffic
from support import worlds
from support.simulated_cluster import KilledError, SimulatedCluster

STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {"durationSeconds": 5}}]
CHANGE = {"runtime": {"maxQueue": 7}}
OTHER_CHANGE = {"runtime": {"maxQueue": 9}}


def serving(pods: int = 4, *, has_xds: bool = True, steps: Any = STEPS) -> SimulatedCluster:
    rollout = {"strategy": "Canary", "steps": steps}
    manifest = worlds.manifest({"replicas": pods, "rollout": rollout})
    cluster = SimulatedCluster(manifest, settings=worlds.settings(has_xds=has_xds))
    clients(cluster)
    cluster.settle()
    return cluster


def clients(cluster: SimulatedCluster, **changes: Any) -> None:
    """Two control plane pods whose clients accept at once what the status says, and call so."""
    told = {s["revision"]: s["percent"] for s in shares(cluster)}
    counted = {revision: 10 * percent for revision, percent in told.items()}
    there = {revision: percent for revision, percent in told.items() if percent}
    report = ClientTraffic(**{"shares": there, "streams": 2, "acknowledged": 2, **changes})
    cluster.around["clients"] = Clients(reports=(report, report), counted=counted)


def shares(cluster: SimulatedCluster) -> list[dict[str, Any]]:
    weights = rollout(cluster).get("weights") or {}
    return list(weights.get("shares") or ())


def rollout(cluster: SimulatedCluster) -> dict[str, Any]:
    return dict(cluster.deployment["status"].get("rollout") or {})


def run(cluster: SimulatedCluster, rounds: int = 12, **changes: Any) -> list[Plan]:
    made = []
    for _ in range(rounds):
        clients(cluster, **changes)
        made.append(cluster.reconcile())
        cluster.step()
    return made


def is_complete(cluster: SimulatedCluster) -> bool:
    """Whether nothing of a canary is left but the command that somebody may have given."""
    return {**rollout(cluster), "lastAction": None} == {"phase": "Complete", "lastAction": None}


def percent(cluster: SimulatedCluster) -> int | None:
    found = (rollout(cluster).get("weights") or {}).get("canaryPercent")
    return int(found) if found is not None else None


def changed(cluster: SimulatedCluster) -> tuple[str, str]:
    """After a change that has come to its first pause; the old revision and the new one."""
    old = str(cluster.deployment["status"]["currentRevision"])
    cluster.edit(**CHANGE)
    run(cluster)
    return old, str(cluster.deployment["status"]["currentRevision"])


def aborted(cluster: SimulatedCluster) -> tuple[str, str]:
    """After a change that somebody has taken back; the old revision and the new one."""
    old, new = changed(cluster)
    say(cluster, f"abort@{new}")
    run(cluster, 10)
    return old, new


def promote(cluster: SimulatedCluster, revision: str) -> None:
    say(cluster, f"promote@{revision}")


def say(cluster: SimulatedCluster, command: str) -> None:
    cluster.deployment["metadata"]["annotations"] = {ROLLOUT_ACTION: command}


def condition(cluster: SimulatedCluster, kind: str) -> dict[str, Any]:
    conditions = cluster.deployment["status"]["conditions"]
    return dict(next((c for c in conditions if c["type"] == kind), {}))


def is_all_the_old_ones(cluster: SimulatedCluster, old: str, new: str) -> bool:
    """Whether the old revision has every call and every pod."""
    alone = [{"revision": old, "percent": 100}, {"revision": new, "percent": 0}]
    counts = (cluster.available(old), len(list(cluster.runtime_pods(new))))
    return shares(cluster) == alone and counts == (4, 0)


def told(made: list[Plan]) -> list[str]:
    return [event.reason for plan in made for event in plan.events]


def sentence(cluster: SimulatedCluster) -> str:
    conditions = cluster.deployment["status"]["conditions"]
    return str(next(c["message"] for c in conditions if c["type"] == "Progressing"))


def test_the_first_revision_takes_no_steps() -> None:
    cluster = serving()
    assert is_complete(cluster)


def test_a_change_gives_the_new_revision_its_share_and_pauses() -> None:
    cluster = serving()
    old, new = changed(cluster)
    assert shares(cluster) == [
        {"revision": old, "percent": 80},
        {"revision": new, "percent": 20},
    ]
    assert rollout(cluster)["phase"] == "Paused"
    assert (cluster.available(old), cluster.available(new)) == (4, 1)
    assert cluster.deployment["status"]["stableRevision"] == old


def test_the_pause_says_how_it_is_ended() -> None:
    cluster = serving()
    _, new = changed(cluster)
    assert f"{ROLLOUT_ACTION}=promote@{new}" in sentence(cluster)


def test_a_paused_canary_writes_nothing() -> None:
    cluster = serving()
    changed(cluster)
    assert all(plan.is_empty for plan in run(cluster, 10))


def test_a_promoted_canary_goes_through_the_rest_and_replaces_the_old_revision() -> None:
    cluster = serving()
    old, new = changed(cluster)
    promote(cluster, new)
    made = run(cluster, 40)
    assert is_complete(cluster)
    assert cluster.deployment["status"]["stableRevision"] == new
    assert (cluster.available(old), cluster.available(new)) == (0, 4)
    events = told(made)
    assert [e for e in events if e in ("RolloutPromoted", "RolloutCompleted")] == [
        "RolloutPromoted",
        "RolloutCompleted",
    ]
    assert events.count("WeightChanged") >= 2


def test_the_old_revision_keeps_its_pods_until_the_new_one_gets_every_call() -> None:
    cluster = serving()
    old, new = changed(cluster)
    promote(cluster, new)
    for _ in range(40):
        if percent(cluster) is not None and percent(cluster) != 100:
            assert cluster.available(old) == 4
        run(cluster, 1)
    assert cluster.available(new) == 4


def test_another_revisions_command_moves_nothing() -> None:
    cluster = serving()
    old, _ = changed(cluster)
    promote(cluster, old)
    run(cluster, 10)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)


def test_a_share_waits_for_clients_that_are_behind() -> None:
    cluster = serving()
    cluster.edit(**CHANGE)
    run(cluster, 20, acknowledged=1)
    assert (rollout(cluster)["phase"], rollout(cluster)["stepIndex"]) == ("Progressing", 0)
    assert "clients are being told" in sentence(cluster)
    run(cluster, 3)
    assert rollout(cluster)["phase"] == "Paused"


def test_a_share_waits_for_the_pods_counters() -> None:
    cluster = serving()
    cluster.edit(**CHANGE)
    for _ in range(20):
        clients(cluster)
        found = cluster.around["clients"]
        if shares(cluster):
            one = {each["revision"]: 500 for each in shares(cluster)}
            cluster.around["clients"] = Clients(reports=found.reports, counted=one)
        cluster.reconcile()
        cluster.step()
    assert rollout(cluster)["stepIndex"] == 0
    assert "counters do not show that share" in sentence(cluster)


def test_where_no_client_uses_xds_the_counters_hold_up_nothing() -> None:
    cluster = serving()
    cluster.edit(**CHANGE)
    for _ in range(15):
        clients(cluster, streams=0, acknowledged=0)
        found = cluster.around["clients"]
        one = {each["revision"]: 500 for each in shares(cluster)}
        cluster.around["clients"] = Clients(reports=found.reports, counted=one)
        cluster.reconcile()
        cluster.step()
    assert rollout(cluster)["phase"] == "Paused"
    assert rollout(cluster)["weights"]["verified"] is False


def test_clients_that_refuse_are_told_of_once() -> None:
    cluster = serving()
    made = run(cluster, 5, refusal="unknown policy")
    assert told(made).count("TrafficConfigRejected") == 1
    assert rollout(cluster)["clientRefusal"] == "unknown policy"
    run(cluster, 2)
    assert "clientRefusal" not in rollout(cluster)


def test_a_canary_that_never_serves_gets_no_call() -> None:
    cluster = serving()
    old = str(cluster.deployment["status"]["currentRevision"])
    cluster.edit(**CHANGE)
    cluster.reconcile()
    cluster.broken.add(str(cluster.deployment["status"]["currentRevision"]))
    run(cluster, 20)
    assert percent(cluster) == 0
    assert cluster.available(old) == 4


def test_a_change_that_is_taken_back_gives_the_calls_back_at_once() -> None:
    cluster = serving()
    old, new = changed(cluster)
    cluster.edit(runtime={})
    clients(cluster)
    cluster.reconcile()
    assert shares(cluster) == [{"revision": old, "percent": 100}, {"revision": new, "percent": 0}]
    run(cluster, 15)
    assert is_complete(cluster)
    assert (cluster.available(old), cluster.available(new)) == (4, 0)


def test_another_change_in_the_middle_starts_its_own_canary() -> None:
    cluster = serving()
    old, middle = changed(cluster)
    cluster.edit(**OTHER_CHANGE)
    run(cluster, 15)
    new = str(cluster.deployment["status"]["currentRevision"])
    assert new not in (old, middle)
    assert (cluster.available(old), cluster.available(middle), cluster.available(new)) == (4, 0, 1)
    assert shares(cluster) == [{"revision": old, "percent": 80}, {"revision": new, "percent": 20}]


def test_steps_that_are_edited_begin_anew() -> None:
    cluster = serving()
    _, new = changed(cluster)
    promote(cluster, new)
    run(cluster, 2)
    cluster.edit(rollout={"strategy": "Canary", "steps": [{"setWeight": 5}, {"pause": {}}]})
    run(cluster, 8)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 5)


def test_a_rolling_update_finishes_what_a_canary_began() -> None:
    cluster = serving()
    old, new = changed(cluster)
    cluster.edit(rollout={"strategy": "RollingUpdate"})
    run(cluster, 30)
    assert is_complete(cluster)
    assert (cluster.available(old), cluster.available(new)) == (0, 4)


def test_a_third_revision_that_is_rolled_out_at_once_gets_no_call_before_it_serves() -> None:
    cluster = serving()
    changed(cluster)
    cluster.edit(rollout={"strategy": "RollingUpdate"}, **OTHER_CHANGE)
    for _ in range(30):
        run(cluster, 1)
        called = [share["revision"] for share in shares(cluster) if share["percent"]]
        assert all(cluster.available(revision) for revision in called)
    assert is_complete(cluster)


@pytest.mark.parametrize("pods", [1, 2])
def test_small_deployments_have_a_canary_of_one_pod_beside_all_the_old_ones(pods: int) -> None:
    cluster = serving(pods)
    old, new = changed(cluster)
    assert (cluster.available(old), cluster.available(new)) == (pods, 1)
    promote(cluster, new)
    run(cluster, 40)
    assert (cluster.available(old), cluster.available(new)) == (0, pods)


def test_without_a_control_plane_shares_are_told_and_never_verified() -> None:
    cluster = serving(has_xds=False)
    _, new = changed(cluster)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)
    assert rollout(cluster)["weights"]["verified"] is False
    promote(cluster, new)
    run(cluster, 40)
    assert is_complete(cluster)


def test_a_verified_share_stays_so_while_clients_come_and_go() -> None:
    cluster = serving()
    changed(cluster)
    run(cluster, 5, acknowledged=0)
    assert rollout(cluster)["weights"]["verified"] is True


def test_a_paused_canary_lets_the_stable_revision_follow_the_replicas() -> None:
    cluster = serving()
    old, new = changed(cluster)
    for replicas in (2, 6):
        cluster.edit(replicas=replicas)
        run(cluster, 15)
        wanted = max(1, -(-replicas * 20 // 100))
        assert (cluster.available(old), cluster.available(new)) == (replicas, wanted)
        assert rollout(cluster)["phase"] == "Paused"


def test_a_deployment_at_zero_has_no_canary() -> None:
    cluster = serving(1)
    cluster.edit(replicas=0)
    run(cluster, 10)
    cluster.edit(**CHANGE)
    run(cluster, 10)
    assert "weights" not in rollout(cluster)


@pytest.mark.parametrize("die_after", range(12))
def test_an_operator_that_dies_in_the_middle_goes_on_where_it_was(die_after: int) -> None:
    cluster = serving()
    cluster.edit(**CHANGE)
    for _ in range(12):
        clients(cluster)
        with suppress(KilledError):
            cluster.reconcile(die_after=die_after)
        cluster.step()
    run(cluster, 15)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)


def broken(cluster: SimulatedCluster) -> tuple[str, str]:
    """A change whose pods never serve; the old revision and the new one."""
    old = str(cluster.deployment["status"]["currentRevision"])
    cluster.edit(**CHANGE)
    cluster.reconcile()
    new = str(cluster.deployment["status"]["currentRevision"])
    cluster.broken.add(new)
    return old, new


def test_a_canary_whose_pod_does_not_come_is_taken_back_when_its_time_is_over() -> None:
    rollout_spec = {"strategy": "Canary", "steps": STEPS, "progressDeadlineSeconds": 60}
    cluster = serving()
    cluster.edit(rollout=rollout_spec)
    run(cluster, 3)
    old, new = broken(cluster)
    run(cluster, 50)
    assert rollout(cluster)["phase"] == "Progressing"
    made = run(cluster, 25)
    assert rollout(cluster)["phase"] == "RolledBack"
    assert rollout(cluster)["abort"]["reason"] == "ProgressDeadlineExceeded"
    assert "0 of 1 pods were available" in rollout(cluster)["abort"]["message"]
    assert is_all_the_old_ones(cluster, old, new)
    assert [e for e in told(made) if e.startswith("Roll")] == ["RolloutAborted", "RolledBack"]


def test_a_pause_counts_for_no_deadline() -> None:
    cluster = serving(
        steps=[{"setWeight": 20}, {"pause": {"durationSeconds": 500}}, {"setWeight": 50}]
    )
    rollout_spec = dict(cluster.deployment["spec"]["rollout"], progressDeadlineSeconds=60)
    cluster.edit(rollout=rollout_spec)
    run(cluster, 3)
    _, new = changed(cluster)
    cluster.step(490.0)
    run(cluster, 60)
    assert is_complete(cluster)
    assert cluster.available(new) == 4


def test_what_is_taken_back_stays_so_and_says_how_it_is_tried_again() -> None:
    cluster = serving()
    old, new = aborted(cluster)
    assert is_all_the_old_ones(cluster, old, new)
    assert (condition(cluster, "Progressing")["status"], sentence(cluster)) == (
        "False",
        f"revision {new} was taken back: somebody asked for it; revision {old} serves. Change "
        f"the spec, or try it again: kubectl annotate --overwrite llmd "
        f"{cluster.deployment['metadata']['name']} {ROLLOUT_ACTION}=retry@{new}",
    )
    assert condition(cluster, "RolloutHealthy")["reason"] == "Aborted"
    assert condition(cluster, "Ready")["reason"] == "RolledBack"
    assert condition(cluster, "Stalled")["status"] == "True"
    assert cluster.deployment["status"]["stableRevision"] == old
    assert all(plan.is_empty for plan in run(cluster, 10))


def test_the_pods_of_what_is_taken_back_stay_until_no_client_calls_them() -> None:
    cluster = serving()
    old, new = changed(cluster)
    say(cluster, f"abort@{new}")
    run(cluster, 10, acknowledged=1)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Aborting", 0)
    assert cluster.available(new) == 1
    run(cluster, LONGEST_GOODBYE_SECONDS, acknowledged=1)
    assert rollout(cluster)["phase"] == "RolledBack"
    assert is_all_the_old_ones(cluster, old, new)


def test_calls_that_do_not_come_by_xds_keep_nothing_that_is_taken_back() -> None:
    cluster = serving()
    old, new = changed(cluster)
    say(cluster, f"abort@{new}")
    for _ in range(8):
        clients(cluster)
        found = cluster.around["clients"]
        strays = {each["revision"]: 500 for each in shares(cluster)}
        cluster.around["clients"] = Clients(reports=found.reports, counted=strays)
        cluster.reconcile()
        cluster.step()
    assert is_all_the_old_ones(cluster, old, new)


def test_a_retry_waits_until_the_pods_of_the_attempt_before_are_gone() -> None:
    cluster = serving()
    _, new = changed(cluster)
    say(cluster, f"abort@{new}")
    run(cluster, 2, acknowledged=1)
    assert cluster.available(new) == 1
    say(cluster, f"retry@{new}")
    run(cluster, 2, acknowledged=1)
    assert "abort" in rollout(cluster)
    run(cluster, 20)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)


def test_a_retry_begins_at_the_first_step() -> None:
    cluster = serving()
    _, new = aborted(cluster)
    say(cluster, f"retry@{new}")
    made = run(cluster, 15)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)
    assert "abort" not in rollout(cluster)
    assert not condition(cluster, "RolloutHealthy")
    assert told(made).count("RolloutRetried") == 1


def test_a_retry_that_stands_since_before_an_abort_tries_nothing_again() -> None:
    cluster = serving()
    old, new = changed(cluster)
    say(cluster, f"retry@{new}")
    made = run(cluster, 5)
    assert rollout(cluster)["phase"] == "Paused"
    assert "RolloutRetried" not in told(made)
    cluster.broken.add(new)
    say(cluster, f"abort@{new}")
    run(cluster, 10)
    say(cluster, f"promote@{new}")
    run(cluster, 10)
    assert is_all_the_old_ones(cluster, old, new)


def test_another_change_of_the_spec_begins_a_canary_of_its_own_after_an_abort() -> None:
    cluster = serving()
    aborted(cluster)
    cluster.edit(**OTHER_CHANGE)
    run(cluster, 15)
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)
    assert "abort" not in rollout(cluster)


def test_a_change_that_is_taken_back_after_an_abort_leaves_nothing_of_it() -> None:
    cluster = serving()
    aborted(cluster)
    cluster.edit(runtime={})
    run(cluster, 15)
    assert is_complete(cluster)
    assert condition(cluster, "Ready")["status"] == "True"


def test_an_abort_outlasts_a_time_at_zero() -> None:
    cluster = serving()
    old, new = aborted(cluster)
    for replicas in (0, 4):
        cluster.edit(replicas=replicas)
        run(cluster, 15)
        assert rollout(cluster)["abort"]["revision"] == new
    assert is_all_the_old_ones(cluster, old, new)


@pytest.mark.parametrize("last", [50, 100])
def test_promoted_in_full_it_passes_all_steps_and_gets_no_more_calls_than_it_has_pods_for(
    last: int,
) -> None:
    cluster = serving(steps=[{"setWeight": 20}, {"pause": {}}, {"setWeight": last}])
    old, new = changed(cluster)
    say(cluster, f"promote-full@{new}")
    for _ in range(30):
        run(cluster, 1)
        if shares(cluster):
            assert (percent(cluster) or 0) <= 25 * max(1, cluster.available(new))
            assert cluster.available(old) == 4 or percent(cluster) == 100
    assert is_complete(cluster)
    assert (cluster.available(old), cluster.available(new)) == (0, 4)


def test_a_pod_that_has_ended_three_times_takes_its_revision_back_at_once() -> None:
    cluster = serving()
    old, new = broken(cluster)
    run(cluster, 5)
    (pod,) = cluster.runtime_pods(new)
    ended = {"exitCode": 1, "message": "no such file"}
    for restarts in (1, 2, 3):
        assert rollout(cluster)["phase"] == "Progressing"
        pod["status"]["containerStatuses"] = [
            {
                "name": "runtime",
                "restartCount": restarts,
                "ready": False,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ended},
            }
        ]
        clients(cluster)
        cluster.reconcile()
    assert rollout(cluster)["abort"]["reason"] == "CrashLoopBackOff"
    assert "no such file" in rollout(cluster)["abort"]["message"]
    run(cluster, 10)
    assert is_all_the_old_ones(cluster, old, new)
    assert condition(cluster, "RolloutHealthy")["reason"] == "CrashLoopBackOff"


def test_a_command_that_stands_is_not_obeyed_again_when_its_revision_comes_back() -> None:
    cluster = serving()
    _, new = changed(cluster)
    say(cluster, f"promote-full@{new}")
    run(cluster, 40)
    cluster.edit(**OTHER_CHANGE)
    run(cluster, 15)
    cluster.edit(**CHANGE)
    run(cluster, 30)
    cluster.edit(**OTHER_CHANGE)
    run(cluster, 30)
    cluster.edit(rollout={"strategy": "RollingUpdate"})
    run(cluster, 40)
    cluster.edit(rollout={"strategy": "Canary", "steps": STEPS}, **CHANGE)
    run(cluster, 30)
    assert cluster.deployment["status"]["currentRevision"] == new
    assert (rollout(cluster)["phase"], percent(cluster)) == ("Paused", 20)


def test_a_command_is_not_obeyed_again_after_a_time_at_zero_or_with_other_steps() -> None:
    cluster = serving()
    _, new = changed(cluster)
    promote(cluster, new)
    run(cluster, 2)
    for edit in (
        {"replicas": 0},
        {"replicas": 4},
        {"rollout": {"strategy": "Canary", "steps": [{"setWeight": 5}, {"pause": {}}]}},
    ):
        cluster.edit(**edit)
        run(cluster, 15)
    assert (rollout(cluster)["phase"], rollout(cluster)["stepIndex"]) == ("Paused", 1)


def test_a_stable_deployment_that_somebody_deletes_is_made_again() -> None:
    cluster = serving()
    old, new = aborted(cluster)
    (name,) = [n for k, n in cluster.objects if k == "Deployment" and n.endswith(old)]
    for pod in list(cluster.runtime_pods(old)):
        cluster.pods.pop(pod["metadata"]["name"])
    del cluster.objects[("Deployment", name)]
    run(cluster, 15)
    assert rollout(cluster)["phase"] == "RolledBack"
    assert is_all_the_old_ones(cluster, old, new)


def test_old_restarts_of_a_pod_that_runs_take_nothing_back() -> None:
    cluster = serving()
    _, new = changed(cluster)
    (pod,) = cluster.runtime_pods(new)
    pod["status"]["containerStatuses"] = [
        {
            "name": "runtime",
            "restartCount": 7,
            "ready": False,
            "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 1}},
        }
    ]
    clients(cluster)
    cluster.reconcile()
    assert "abort" not in rollout(cluster)


@pytest.mark.parametrize("die_after", range(6))
def test_an_operator_that_dies_while_it_takes_back_goes_on_with_it(die_after: int) -> None:
    cluster = serving()
    old, new = changed(cluster)
    say(cluster, f"abort@{new}")
    for _ in range(8):
        clients(cluster)
        with suppress(KilledError):
            cluster.reconcile(die_after=die_after)
        cluster.step()
    run(cluster, 10)
    assert is_all_the_old_ones(cluster, old, new)
