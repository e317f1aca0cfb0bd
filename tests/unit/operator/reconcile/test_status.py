"""Status: what a person at night reads, from worlds as a cluster shows them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llm_operator.api.conditions import timestamp
from llm_operator.reconcile.plan import plan
from llm_operator.reconcile.world import ExportProgress, World
from support import worlds
from support.simulated_cluster import SimulatedCluster

Object = dict[str, Any]


def cluster(**spec: Any) -> SimulatedCluster:
    return SimulatedCluster(worlds.manifest(spec))


def serving(**spec: Any) -> SimulatedCluster:
    found = cluster(**spec)
    found.settle()
    return found


def exporting(**spec: Any) -> SimulatedCluster:
    """A cluster whose export pod has just been made."""
    found = cluster(**spec)
    found.reconcile()
    found.step()
    return found


def report(found: SimulatedCluster | World) -> Object:
    """The status after one more reconcile of that world, without doing its writes."""
    world = found if isinstance(found, World) else found.world()
    made = plan(world)
    after = dict(world.deployment.status)
    for key, value in (made.status or {"status": {}})["status"].items():
        after[key] = {**after.get(key, {}), **value} if isinstance(value, dict) else value
    return after


def condition(status: Mapping[str, Any], kind: str) -> Object:
    return next((c for c in status["conditions"] if c["type"] == kind), {})


def pod_of(found: SimulatedCluster, component: str) -> Object:
    return next(
        p for name, p in found.pods.items() if ("-export-" in name) == (component == "export")
    )


def waiting(name: str, reason: str, message: str = "", **more: Any) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": name, "image": "image:1", "ready": False, "state": state, **more}


def ended(code: int, *, reason: str = "Error", message: str = "", seconds: int = 5) -> Object:
    start = worlds.NOW
    return {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": timestamp(start),
        "finishedAt": timestamp(start + timedelta(seconds=seconds)),
    }


def crashed(name: str, termination: Object) -> Object:
    looping = waiting(name, "CrashLoopBackOff", "back-off 5m0s")
    return {**looping, "restartCount": 4, "lastState": {"terminated": termination}}


def unschedulable(message: str) -> Object:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }


def load_failure(message: str) -> str:
    return json.dumps({"ok": False, "reason": "ModelLoadFailed", "message": message})


# serving pods


@pytest.mark.parametrize(
    ("status", "reason", "names"),
    [
        (crashed("runtime", ended(137, reason="OOMKilled")), "OOMKilled", "limits.memory"),
        (crashed("runtime", ended(1, message="boom")), "CrashLoopBackOff", "exit code 1: boom"),
        (
            crashed("runtime", ended(1, message=load_failure("model.onnx is damaged"))),
            "ModelLoadFailed",
            "model.onnx is damaged",
        ),
        (
            crashed("runtime", ended(137, seconds=1800)),
            "StartupTimeout",
            "rollout.startupTimeoutSeconds (1800 s)",
        ),
        (
            waiting("runtime", "ImagePullBackOff", "not found"),
            "ImagePullBackOff",
            "image image:1 of container runtime cannot be had: not found",
        ),
        (
            waiting("runtime", "CreateContainerConfigError", 'secret "x" not found'),
            "ContainerConfigError",
            'secret "x" not found',
        ),
    ],
)
def test_ready_names_the_trouble_of_the_container(status: Object, reason: str, names: str) -> None:
    found = serving()
    pod = pod_of(found, "runtime")
    pod["status"] = {"phase": "Running", "containerStatuses": [status]}
    deployment_of(found)["status"]["availableReplicas"] = 0
    shown = report(found)
    for kind in ("Ready", "Available", "Reconciling"):
        assert condition(shown, kind)["reason"] == reason, kind
    assert names in condition(shown, "Ready")["message"]
    assert pod["metadata"]["name"] in condition(shown, "Ready")["message"]


def current(found: SimulatedCluster) -> str:
    return str(found.deployment["status"]["currentRevision"])


def deployment_of(found: SimulatedCluster) -> Object:
    return found.objects["Deployment", f"demo-{current(found)}"]


def starting() -> SimulatedCluster:
    """A cluster whose first runtime pod exists and does not serve yet."""
    found = cluster()
    while not any("-export-" not in name for name in found.pods):
        found.reconcile()
        found.step()
    found.reconcile()
    return found


def test_an_init_container_that_cannot_fetch_says_why() -> None:
    found = starting()
    message = json.dumps({"ok": False, "reason": "ChecksumMismatch", "message": "layer 2 differs"})
    pod_of(found, "runtime")["status"] = {
        "initContainerStatuses": [crashed("fetch", ended(1, message=message))]
    }
    assert condition(report(found), "Ready")["reason"] == "ModelLoadFailed"
    assert "layer 2 differs" in condition(report(found), "Ready")["message"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", "InsufficientGPU"),
        ("0/2 nodes are available: 2 Insufficient memory.", "InsufficientMemory"),
        ("0/2 nodes are available: 2 Insufficient cpu.", "InsufficientCPU"),
        ("0/2 nodes: 2 node(s) didn't match Pod's node affinity/selector.", "NodeSelectorMismatch"),
        ("0/2 nodes: 2 node(s) had untolerated taint(s).", "NodeSelectorMismatch"),
        ("0/3 nodes: 1 Too many pods, 2 node(s) didn't match Pod's affinity.", "Unschedulable"),
        ("0/2 nodes: 1 node(s) had untolerated taint(s), 1 were unschedulable.", "Unschedulable"),
        ("0/2 nodes are available.", "Unschedulable"),
    ],
)
def test_a_pod_without_a_node_says_what_is_short(message: str, reason: str) -> None:
    found = starting()
    pod_of(found, "runtime")["status"] = {"conditions": [unschedulable(message)]}
    shown = report(found)
    assert condition(shown, "CapacityAvailable")["status"] == "False"
    assert condition(shown, "CapacityAvailable")["reason"] == reason
    assert condition(shown, "Ready")["reason"] == reason
    assert message in condition(shown, "Ready")["message"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: exceeded quota: team', "QuotaExceeded"),
        ('pods "x" is forbidden: violates PodSecurity', "PodRefused"),
    ],
)
def test_pods_that_the_api_server_refuses_are_told(message: str, reason: str) -> None:
    found = starting()
    deployment_of(found)["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    ]
    found.pods.clear()
    shown = report(found)
    assert condition(shown, "Ready")["reason"] == reason
    assert message in condition(shown, "Ready")["message"]


def test_a_rollout_that_makes_no_progress_is_stalled() -> None:
    found = starting()
    deployment_of(found)["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    ]
    shown = report(found)
    assert condition(shown, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    assert condition(shown, "Stalled")["status"] == "True"
    assert condition(shown, "Reconciling") == {}
    assert shown["rollout"]["phase"] == "Stalled"


def test_the_old_revision_is_available_while_the_new_one_is_not_ready() -> None:
    found = serving(replicas=2)
    before = current(found)
    found.edit(runtime={"maxQueue": 3})
    found.reconcile()
    found.step()
    shown = report(found)
    assert condition(shown, "Available")["status"] == "True"
    assert condition(shown, "Ready")["reason"] == "NewRevision"
    assert f"revision {before} serves meanwhile" in condition(shown, "Ready")["message"]
    assert shown["stableRevision"] == before != shown["currentRevision"]


def test_a_pod_that_falls_over_later_is_no_rollout() -> None:
    found = serving(replicas=2)
    deployment_of(found)["status"]["availableReplicas"] = 1
    shown = report(found)
    assert condition(shown, "Progressing")["reason"] == "RolloutComplete"
    assert condition(shown, "Ready")["reason"] == "Starting"
    assert shown["rollout"]["phase"] == "Complete"


def test_an_object_stays_ready_while_the_pods_that_are_too_many_leave() -> None:
    found = serving(replicas=3)
    found.edit(replicas=1)
    for _ in range(20):
        found.reconcile()
        assert condition(report(found), "Ready")["status"] == "True"
        found.step()
    assert deployment_of(found)["spec"]["replicas"] == 1


def test_a_ready_object_is_current_to_kstatus() -> None:
    found = serving()
    status = found.deployment["status"]
    assert status["observedGeneration"] == found.deployment["metadata"]["generation"]
    assert condition(status, "Ready")["status"] == "True"
    assert condition(status, "Reconciling") == condition(status, "Stalled") == {}


def test_every_condition_tells_its_generation() -> None:
    found = serving()
    found.edit(runtime={"maxQueue": 3})
    shown = report(found)
    assert {c["observedGeneration"] for c in shown["conditions"]} == {2}


def test_zero_replicas_are_ready_and_idle() -> None:
    shown = serving(replicas=0).deployment["status"]
    assert (condition(shown, "Ready")["status"], condition(shown, "Ready")["reason"]) == (
        "True",
        "Idle",
    )
    assert condition(shown, "Available")["reason"] == "ScaledToZero"


def test_the_address_is_the_services_name_and_port() -> None:
    found = serving(service={"port": 8080})
    assert found.deployment["status"]["address"] == {"grpc": "demo.default.svc:8080"}


# the export


def export_status(**statuses: Any) -> Object:
    return {"phase": "Pending", **statuses}


@pytest.mark.parametrize(
    ("step", "reason", "state"),
    [
        ("fetch", "Downloading", "Downloading"),
        ("export", "Exporting", "Exporting"),
        ("verify", "Verifying", "Verifying"),
    ],
)
def test_the_step_of_the_export_is_shown(step: str, reason: str, state: str) -> None:
    found = exporting()
    running = {"name": step, "state": {"running": {}}}
    pod_of(found, "export")["status"] = export_status(initContainerStatuses=[running])
    shown = report(found)
    assert condition(shown, "ModelReady")["reason"] == reason
    assert shown["model"]["state"] == state


def fail_export(found: SimulatedCluster, container: Object | None, **status: Any) -> None:
    statuses = [container] if container is not None else []
    pod_of(found, "export")["status"] = {
        "phase": "Failed",
        "initContainerStatuses": statuses,
        **status,
    }
    (job,) = [o for (kind, _), o in found.objects.items() if kind == "Job"]
    time = timestamp(found.now)
    job["status"] = {
        "conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": time}]
    }


def terminated(step: str, termination: Object) -> Object:
    return {"name": step, "state": {"terminated": termination}}


TOLD = {
    "step": "fetch",
    "ok": False,
    "reason": "AuthFailed",
    "message": "hub.example refused the token",
    "retryable": False,
}


@pytest.mark.parametrize(
    ("container", "pod", "reason", "names"),
    [
        (
            terminated("fetch", ended(1, message=json.dumps(TOLD))),
            {},
            "AuthFailed",
            "refused the token",
        ),
        (
            terminated("fetch", ended(1, message=json.dumps({**TOLD, "reason": "Nonsense"}))),
            {},
            "ExportFailed",
            "refused the token",
        ),
        (
            terminated("export", ended(137, reason="OOMKilled")),
            {},
            "InsufficientMemory",
            "spec.model.export.resources.limits.memory",
        ),
        (
            terminated("export", ended(2, message="Traceback: x")),
            {},
            "ExportFailed",
            "Traceback: x",
        ),
        (
            None,
            {"reason": "Evicted", "message": "exceeds the ephemeral-storage limit"},
            "NoSpace",
            "evicted",
        ),
        (
            None,
            {"reason": "Evicted", "message": "The node was low on resource: memory"},
            "InsufficientMemory",
            "evicted",
        ),
    ],
)
def test_a_failed_export_tells_its_reason(
    container: Object | None, pod: Object, reason: str, names: str
) -> None:
    found = exporting()
    fail_export(found, container, **pod)
    shown = report(found)
    assert condition(shown, "ModelReady")["reason"] == reason
    assert condition(shown, "Ready")["reason"] == reason
    assert names in condition(shown, "Ready")["message"]
    assert shown["model"]["lastFailure"]["reason"] == reason
    assert shown["model"]["state"] == "Failed"


def test_a_retryable_failure_says_when_it_is_tried_again() -> None:
    found = exporting()
    fail_export(
        found, terminated("fetch", ended(1, message=json.dumps({**TOLD, "retryable": True})))
    )
    message = condition(report(found), "ModelReady")["message"]
    assert f"attempt 2 at {timestamp(found.now + timedelta(seconds=10))}" in message
    assert condition(report(found), "Stalled") == {}


def test_an_export_whose_node_was_lost_is_tried_again() -> None:
    found = exporting()
    fail_export(found, None)
    found.pods.clear()
    found.now += timedelta(minutes=1)
    assert condition(report(found), "ModelReady")["reason"] == "ExportFailed"
    found.settle()
    assert found.available() == 1


def test_a_pod_that_is_seen_later_than_the_end_of_its_job_is_waited_for() -> None:
    found = exporting()
    fail_export(found, terminated("fetch", ended(1, message=json.dumps(TOLD))))
    late = pod_of(found, "export")
    late["status"], status = {"phase": "Pending"}, late["status"]
    assert condition(report(found), "ModelReady")["reason"] == "Downloading"
    late["status"] = status
    assert condition(report(found), "ModelReady")["reason"] == "AuthFailed"


def test_an_export_that_succeeded_and_lost_its_result_is_made_again() -> None:
    found = exporting()
    (job,) = [o for (kind, _), o in found.objects.items() if kind == "Job"]
    job["status"] = {
        "conditions": [
            {"type": "Complete", "status": "True", "lastTransitionTime": timestamp(found.now)}
        ]
    }
    found.pods.clear()
    assert plan(found.world()).writes == ()
    found.now += timedelta(minutes=1)
    assert condition(report(found), "ModelReady")["reason"] == "ExportFailed"
    found.settle()
    assert found.available() == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"conditions": [unschedulable("2 node(s) had volume node affinity conflict")]},
            "VolumeConflict",
        ),
        ({"conditions": [unschedulable('persistentvolumeclaim "c" not found')]}, "FileNotFound"),
        ({"conditions": [unschedulable("2 Insufficient memory")]}, "InsufficientMemory"),
        (
            {"initContainerStatuses": [waiting("fetch", "ErrImagePull", "denied")]},
            "ImagePullBackOff",
        ),
    ],
)
def test_an_export_pod_that_cannot_start_says_why(status: Object, reason: str) -> None:
    found = exporting()
    pod_of(found, "export")["status"] = {"phase": "Pending", **status}
    assert condition(report(found), "ModelReady")["reason"] == reason


def test_a_missing_secret_is_suspected_after_a_while() -> None:
    source = {"uri": "hf://llm/demo"}
    found = exporting(model={"source": source, "credentials": {"secretRef": {"name": "token"}}})
    time = timestamp(found.now)
    pod_of(found, "export")["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": time},
        {"type": "PodReadyToStartContainers", "status": "False"},
    ]
    assert condition(report(found), "ModelReady")["reason"] == "Downloading"
    found.now += timedelta(minutes=1)
    assert "Secret token" in condition(report(found), "ModelReady")["message"]


# progress


def downloading(found: SimulatedCluster, done: int, after: float = 0) -> World:
    pod = pod_of(found, "export")
    pod["status"] = {"initContainerStatuses": [{"name": "fetch", "state": {"running": {}}}]}
    progress = ExportProgress(pod["metadata"]["uid"], "fetch", done, 1000, 9)
    now = worlds.NOW + timedelta(seconds=after)
    return replace(found.world(), export_progress=progress, now=now)


def test_progress_is_shown_in_bytes() -> None:
    progress = report(downloading(exporting(), 10))["model"]["progress"]
    assert progress == {
        "bytes": 10,
        "totalBytes": 1000,
        "etaSeconds": 9,
        "time": timestamp(worlds.NOW),
    }


def test_bytes_alone_are_written_at_most_every_two_seconds() -> None:
    found = exporting()
    patches = 0
    for tenth in range(100):
        made = plan(downloading(found, tenth, after=tenth / 10))
        if made.status is not None:
            patches += 1
            found.deployment["status"] = report(downloading(found, tenth, after=tenth / 10))
    assert patches <= 6


def test_bytes_that_do_not_move_are_not_written_again() -> None:
    found = exporting()
    found.deployment["status"] = report(downloading(found, 10))
    assert plan(downloading(found, 10, after=60)).status is None


def test_the_progress_of_another_pod_is_not_shown() -> None:
    found = exporting()
    world = downloading(found, 10)
    assert world.export_progress is not None
    other = replace(world, export_progress=replace(world.export_progress, pod_uid="other"))
    assert report(other)["model"].get("progress") is None


# events


def test_each_transition_is_told_once() -> None:
    found = cluster()
    told = []
    for _ in range(20):
        told += [event.reason for event in found.reconcile().events]
        found.step()
    assert told == [
        "ModelDownloadStarted",
        "ExportCompleted",
        "RevisionCreated",
        "RolloutCompleted",
    ]


def test_scaling_is_told_from_and_to() -> None:
    found = serving()
    found.edit(replicas=3)
    (event,) = found.reconcile().events
    assert (event.reason, event.message) == (
        "ScaledUp",
        "Scaled from 1 to 3 pods: the spec asks for it.",
    )


def test_equal_failures_are_told_in_equal_words() -> None:
    told = set()
    for attempt in ("1", "2"):
        found = exporting()
        (job,) = [o for (kind, _), o in found.objects.items() if kind == "Job"]
        job["metadata"]["annotations"]["llm-operator.dev/attempt"] = attempt
        told_json = json.dumps({**TOLD, "retryable": True})
        fail_export(found, terminated("fetch", ended(1, message=told_json)))
        (event,) = plan(found.world()).events
        told.add(event)
    assert [event.reason for event in told] == ["ModelDownloadFailed"]
