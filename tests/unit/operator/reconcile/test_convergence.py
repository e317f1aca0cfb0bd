"""Whatever happens, repeated reconciles end where nothing is left to write."""

import copy
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_operator.reconcile.actions import Apply
from llm_operator.render import labels
from support import worlds
from support.children import CHILD_KINDS
from support.simulated_cluster import KilledError, SimulatedCluster

FAILED = {
    "step": "fetch",
    "ok": False,
    "reason": "SourceUnreachable",
    "message": "hub.example is unreachable",
    "retryable": True,
}


def cluster(**spec: Any) -> SimulatedCluster:
    return SimulatedCluster(worlds.manifest(spec))


def settled(**spec: Any) -> SimulatedCluster:
    found = cluster(**spec)
    found.settle()
    return found


def condition(found: SimulatedCluster, kind: str) -> dict[str, Any]:
    conditions = found.deployment["status"]["conditions"]
    return next((c for c in conditions if c["type"] == kind), {})


def named(found: SimulatedCluster, kind: str) -> set[str]:
    return {name for of_kind, name in found.objects if of_kind == kind}


def revisions(found: SimulatedCluster, kind: str) -> set[str]:
    return {
        value["metadata"]["labels"][labels.REVISION]
        for (of_kind, _), value in found.objects.items()
        if of_kind == kind and labels.REVISION in value["metadata"]["labels"]
    }


def current(found: SimulatedCluster) -> str:
    return str(found.deployment["status"]["currentRevision"])


def with_queue(length: int) -> dict[str, Any]:
    """A change that makes another revision of the same model."""
    return {"runtime": {"maxQueue": length}}


def test_a_fresh_object_becomes_ready_and_stays_without_writes() -> None:
    found = settled()
    assert condition(found, "Ready")["status"] == "True"
    before = found.writes
    for _ in range(10):
        assert found.reconcile().is_empty
        found.step(300)
    assert found.writes == before


def test_each_child_is_made_once() -> None:
    found = settled(replicas=2)
    assert sorted(kind for kind, _ in found.objects) == CHILD_KINDS
    assert found.available() == 2


def test_a_newer_operator_rolls_no_pod_and_says_so() -> None:
    found = settled(replicas=2)
    before = set(found.pods)
    newer = found.upgraded(runtime_image="runtime:2", image_pull_policy="Always")
    newer.settle()
    assert set(newer.pods) == before
    assert condition(newer, "RuntimeOutdated")["reason"] == "RenderingChanged"
    assert condition(newer, "Ready")["status"] == "True"


def test_the_next_change_of_the_spec_adopts_a_newer_operators_rendering() -> None:
    newer = settled().upgraded(runtime_image="runtime:2")
    newer.edit(**with_queue(7))
    newer.settle()
    deployment = newer.objects["Deployment", f"demo-{current(newer)}"]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "runtime:2"
    assert condition(newer, "RuntimeOutdated") == {}


def test_a_change_of_the_runtime_alone_exports_nothing_again() -> None:
    found = settled()
    jobs = found.objects.keys() & {("Job", name) for name in named(found, "Job")}
    uids = [found.objects[key]["metadata"]["uid"] for key in jobs]
    found.edit(**with_queue(7))
    found.settle()
    assert [found.objects[key]["metadata"]["uid"] for key in jobs] == uids
    assert named(found, "Job") == {name for _, name in jobs}


def test_a_new_revision_leaves_one_deployment_and_one_service_of_a_revision() -> None:
    found = settled(replicas=3)
    found.edit(**with_queue(7))
    found.settle()
    assert revisions(found, "Deployment") == revisions(found, "Service") == {current(found)}
    assert len(revisions(found, "ControllerRevision")) == 2


def test_going_back_before_the_shrunk_revision_was_observed_keeps_what_serves() -> None:
    """Its status still counts the pod that is on its way out; the newer one is all that serves."""
    found = settled()
    first, spec = current(found), dict(found.deployment["spec"])
    found.edit(**with_queue(7))
    while found.objects["Deployment", f"demo-{first}"]["spec"]["replicas"]:
        found.step()
        found.reconcile()
    second = current(found)
    found.deployment["spec"] = spec
    found.deployment["metadata"]["generation"] += 1
    found.reconcile()
    found.reconcile()
    assert found.objects["Deployment", f"demo-{second}"]["spec"]["replicas"] == 1
    found.settle()
    assert current(found) == first


@pytest.mark.parametrize("wanted", [2, 3])
def test_a_revision_that_grows_again_counts_only_what_was_observed(wanted: int) -> None:
    """Shrunk and grown in one breath: its status is two changes behind."""
    found = settled(replicas=wanted)
    first, spec = current(found), dict(found.deployment["spec"])
    found.edit(**with_queue(7))
    deployment = found.objects["Deployment", f"demo-{first}"]
    while deployment["spec"]["replicas"] == wanted:
        found.step()
        found.reconcile()
        deployment = found.objects["Deployment", f"demo-{first}"]
    found.deployment["spec"] = spec
    found.deployment["metadata"]["generation"] += 1
    for _ in range(3):
        found.reconcile()
    asked = sum(
        value["spec"]["replicas"]
        for (kind, _), value in found.objects.items()
        if kind == "Deployment"
    )
    assert asked > wanted
    found.settle()
    assert found.available(first) == wanted


def test_going_back_to_an_old_spec_takes_its_revision_again() -> None:
    found = settled()
    first, record = (
        current(found),
        dict(found.objects["ControllerRevision", "demo-" + current(found)]),
    )
    spec = dict(found.deployment["spec"])
    found.edit(**with_queue(7))
    found.settle()
    found.deployment["spec"] = spec
    found.deployment["metadata"]["generation"] += 1
    found.settle()
    again = found.objects["ControllerRevision", f"demo-{first}"]
    assert current(found) == first
    assert again["data"] == record["data"]
    assert again["revision"] == 3


def test_only_so_many_old_revisions_are_kept() -> None:
    found = settled(rollout={"revisionHistoryLimit": 2})
    for length in range(1, 5):
        found.edit(**with_queue(length))
        found.settle()
    assert len(revisions(found, "ControllerRevision")) == 3


def test_an_export_job_goes_with_the_last_revision_that_uses_its_result() -> None:
    found = settled(rollout={"revisionHistoryLimit": 1})
    (first,) = named(found, "Job")
    for path in ("one", "two"):
        found.edit(model={"source": {"uri": f"hf://llm/{path}"}})
        found.settle()
        assert (first in named(found, "Job")) == (path == "one")
    assert len(named(found, "Job")) == 2


def test_a_broken_revision_never_costs_the_stable_one_a_pod() -> None:
    found = settled(replicas=3)
    stable = current(found)
    found.edit(**with_queue(7))
    found.reconcile()
    found.broken.add(current(found))
    for _ in range(30):
        found.reconcile()
        found.step()
        assert found.available(stable) == 3
    assert condition(found, "Ready")["status"] == "False"
    assert found.deployment["status"]["stableRevision"] == stable


@pytest.mark.parametrize("zero", [{"replicas": 0}, {"suspend": True}], ids=["scaled", "suspended"])
def test_zero_in_a_bad_rollout_does_not_make_the_bad_revision_stable(zero: dict[str, Any]) -> None:
    found = settled(replicas=2)
    stable = current(found)
    found.edit(**with_queue(7))
    found.reconcile()
    found.broken.add(current(found))
    found.edit(**zero)
    found.settle()
    assert found.deployment["status"]["stableRevision"] == stable
    found.edit(replicas=2, suspend=False)
    for _ in range(10):
        found.reconcile()
        found.step()
    assert found.available(stable) == 2


def test_a_change_at_zero_ends_with_the_new_revision_alone_once_it_serves() -> None:
    found = settled(replicas=0)
    found.edit(**with_queue(7))
    found.settle()
    found.edit(replicas=1)
    found.settle()
    assert found.available(current(found)) == 1
    assert revisions(found, "Deployment") == {current(found)}


def test_a_revision_that_never_served_goes_when_the_next_one_comes() -> None:
    found = settled(replicas=2)
    found.edit(**with_queue(7))
    found.reconcile()
    broken = current(found)
    found.broken.add(broken)
    for _ in range(6):
        found.reconcile()
        found.step()
    found.edit(**with_queue(8))
    found.settle()
    assert broken not in revisions(found, "Deployment")
    assert condition(found, "Ready")["status"] == "True"


def test_the_old_revision_can_be_scaled_while_the_new_model_is_exported() -> None:
    found = settled(replicas=1)
    stable = current(found)
    found.export_results = [FAILED] * 50
    found.edit(model={"source": {"uri": "hf://llm/other"}}, replicas=3)
    for _ in range(8):
        found.reconcile()
        found.step()
    assert found.available(stable) == 3


def test_the_scale_subresource_never_counts_surge() -> None:
    found = settled(replicas=2)
    found.edit(**with_queue(7))
    for _ in range(40):
        found.reconcile()
        found.step()
        assert found.deployment["status"]["scaleReplicas"] <= 2
    assert found.deployment["status"]["scaleReplicas"] == 2


def test_a_failed_export_is_tried_again_with_growing_pauses() -> None:
    found = cluster()
    found.export_results = [FAILED] * 3
    made: list[tuple[float, str]] = []
    for _ in range(300):
        known = set(found.pods)
        found.reconcile()
        found.step()
        made += [
            ((found.now - worlds.NOW).total_seconds(), name)
            for name in set(found.pods) - known
            if "export" in name
        ]
        if condition(found, "Ready")["status"] == "True":
            break
    starts = [second for second, _ in made]
    gaps = [after - before for before, after in pairwise(starts)]
    assert all(pause <= gap < pause + 8 for pause, gap in zip((10, 20, 40), gaps, strict=True))
    assert condition(found, "Ready")["status"] == "True"


def test_an_export_that_time_cannot_heal_is_not_tried_again() -> None:
    found = cluster()
    found.export_results = [{**FAILED, "reason": "UnsupportedArchitecture", "retryable": False}]
    found.settle()
    found.now = worlds.seconds_later(86_400)
    assert found.reconcile().is_empty
    assert condition(found, "Stalled")["reason"] == "UnsupportedArchitecture"


def test_more_memory_for_a_failed_export_starts_it_again_at_once() -> None:
    found = cluster()
    found.export_results = [{**FAILED, "reason": "InsufficientMemory", "retryable": False}]
    found.settle()
    source = {"uri": "hf://llm/demo@main"}
    resources = {"limits": {"memory": "8Gi"}}
    found.edit(model={"source": source, "export": {"resources": resources}})
    found.settle()
    assert condition(found, "Ready")["status"] == "True"


def test_a_newer_exporter_tries_a_failed_export_again() -> None:
    found = cluster()
    found.export_results = [{**FAILED, "reason": "UnsupportedArchitecture", "retryable": False}]
    found.settle()
    newer = found.upgraded(exporter_image="exporter:2")
    newer.settle()
    assert condition(newer, "Ready")["status"] == "True"


def test_a_newer_exporter_leaves_a_stored_export_alone() -> None:
    found = settled()
    newer = found.upgraded(exporter_image="exporter:2")
    assert newer.reconcile().writes == ()


def test_a_deleted_failed_job_is_made_again() -> None:
    found = cluster()
    found.export_results = [{**FAILED, "retryable": False}]
    found.settle()
    (name,) = named(found, "Job")
    del found.objects["Job", name]
    found.settle()
    assert condition(found, "Ready")["status"] == "True"


def test_a_suspended_object_has_no_pods_and_starts_no_export() -> None:
    found = settled(suspend=True)
    assert not found.pods
    assert not named(found, "Job")
    assert condition(found, "Ready")["reason"] == "Idle"


def test_suspending_ends_the_pods_and_resuming_brings_them_back() -> None:
    found = settled(replicas=2)
    found.edit(suspend=True)
    found.settle()
    assert found.available() == 0
    found.edit(suspend=False)
    found.settle()
    assert found.available() == 2


def test_what_others_changed_is_set_back() -> None:
    found = settled(replicas=2)
    deployment = found.objects["Deployment", f"demo-{current(found)}"]
    deployment["spec"]["replicas"] = 5
    events = found.reconcile().events
    found.settle()
    assert found.available() == 2
    assert [event.reason for event in events] == ["DriftCorrected"]


def test_what_others_added_is_left_alone() -> None:
    found = settled()
    service = found.objects["Service", "demo"]
    service["metadata"]["labels"]["team"] = "blue"
    service["spec"]["ports"][0]["nodePort"] = 30123
    assert found.reconcile().is_empty


@pytest.mark.parametrize(
    ("kind", "name", "field"),
    [
        ("Service", "demo", "selector"),
        ("NetworkPolicy", "demo", "podSelector"),
        ("PodDisruptionBudget", "demo", "selector"),
    ],
)
def test_a_key_that_others_added_to_a_selector_is_removed(kind: str, name: str, field: str) -> None:
    found = settled()
    selector = found.objects[kind, name]["spec"][field]
    before = copy.deepcopy(selector)
    selector.get("matchLabels", selector)["team"] = "blue"
    found.settle()
    assert found.objects[kind, name]["spec"][field] == before


def test_a_removed_annotation_of_the_service_is_removed() -> None:
    found = settled(service={"annotations": {"a": "1"}})
    found.edit(service={})
    (write,) = found.reconcile().writes
    assert isinstance(write, Apply)
    assert write.manifest["kind"] == "Service"
    assert found.reconcile().is_empty


@pytest.mark.parametrize("kind", ["ControllerRevision", "Deployment", "Service"])
def test_a_child_that_lost_its_labels_is_still_known(kind: str) -> None:
    found = settled(replicas=2)
    pods = set(found.pods)
    child = found.objects[kind, f"demo-{current(found)}"]
    del child["metadata"]["labels"][labels.REVISION]
    found.settle()
    assert set(found.pods) == pods
    assert condition(found, "Ready")["status"] == "True"


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap", "PodDisruptionBudget"])
def test_a_deleted_child_is_made_again(kind: str) -> None:
    found = settled()
    (name, *_) = sorted(named(found, kind))
    del found.objects[kind, name]
    found.settle()
    assert name in named(found, kind)


EDITS = st.one_of(
    st.builds(with_queue, st.integers(1, 3)),
    st.builds(lambda n: {"replicas": n}, st.integers(0, 4)),
    st.builds(
        lambda name: {"model": {"source": {"uri": f"hf://llm/{name}"}}}, st.sampled_from("ab")
    ),
    st.builds(lambda on: {"suspend": on}, st.booleans()),
    st.builds(lambda n: {"rollout": {"maxSurge": n}}, st.integers(1, 3)),
)

RUNS = st.lists(
    st.tuples(
        st.one_of(st.none(), EDITS), st.one_of(st.none(), st.integers(0, 8)), st.integers(0, 3)
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS, failures=st.integers(0, 2))
def test_edits_and_kills_between_any_two_writes_converge_without_duplicates(
    runs: list[tuple[dict[str, Any] | None, int | None, int]], failures: int
) -> None:
    found = cluster()
    found.export_results = [FAILED] * failures
    for edit, die_after, steps in runs:
        if edit is not None:
            found.edit(**edit)
        with suppress(KilledError):
            found.reconcile(die_after=die_after)
        for _ in range(steps):
            found.step()
    found.settle()
    wanted = 0 if found.deployment["spec"].get("suspend") else found.deployment["spec"]["replicas"]
    assert found.available() == wanted
    assert condition(found, "Ready")["status"] == "True"
    stable = found.deployment["status"].get("stableRevision")
    assert revisions(found, "Deployment") <= {current(found), *([] if wanted else [stable])}
    assert found.reconcile().is_empty


@pytest.mark.parametrize("die_after", range(12))
def test_a_kill_after_each_write_of_the_creation_converges(die_after: int) -> None:
    found = cluster(replicas=2)
    for _ in range(12):
        try:
            found.reconcile(die_after=die_after)
        except KilledError:
            found.reconcile()
        found.step()
    found.settle()
    assert found.available() == 2
    assert len(named(found, "Deployment")) == len(named(found, "Job")) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    replicas=st.integers(1, 4),
    surge=st.integers(1, 3),
    pauses=st.lists(st.integers(1, 4), min_size=16, max_size=16),
    is_other_model=st.booleans(),
)
def test_a_rollout_never_serves_with_fewer_pods_than_asked_for(
    replicas: int, surge: int, pauses: list[int], is_other_model: bool
) -> None:
    found = settled(replicas=replicas, rollout={"maxSurge": surge})
    other = {"model": {"source": {"uri": "hf://llm/other"}}}
    found.edit(**(other if is_other_model else with_queue(7)))
    for pause in pauses:
        found.reconcile()
        for _ in range(pause):
            found.step()
            assert found.available() >= replicas
            assert found.deployment["status"]["replicas"] <= replicas + surge
    found.settle()
    assert revisions(found, "Deployment") == {current(found)}


def replicas(found: SimulatedCluster) -> int:
    """Of the only Deployment that there is."""
    (name,) = named(found, "Deployment")
    return int(found.objects["Deployment", name]["spec"]["replicas"])


def test_a_wish_that_falls_while_pods_are_missing_is_met_at_once() -> None:
    found = settled(replicas=1)
    found.quota = 3
    asked = []
    for wanted in (10, 6, 2):
        found.edit(replicas=wanted)
        found.reconcile()
        asked.append(replicas(found))
        for _ in range(4):
            found.step()
    assert asked == [10, 6, 3]  # one has yet to drain


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    runs=st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from([0, 2, 4, 10]), st.integers(0, 4)),
        min_size=2,
        max_size=8,
    )
)
def test_a_deployment_never_asks_for_fewer_pods_than_are_wanted(
    runs: list[tuple[int, int, int]],
) -> None:
    found = settled(replicas=2)
    for wanted, quota, steps in runs:
        found.quota = quota
        found.edit(replicas=wanted)
        for _ in range(1 + steps):
            found.reconcile()
            assert replicas(found) >= wanted
            found.step()
    found.quota = 10
    found.settle()
    assert found.available() == wanted
