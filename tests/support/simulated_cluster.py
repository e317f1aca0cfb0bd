"""A cluster in memory: takes Plans and behaves like the API server and its controllers.

What it does like the real one: server-side apply with uids and generations, defaulting, canonical
quantities, fields that are not stored when empty, uid preconditions, immutable records and Job
templates, Deployments that make and remove pods and count them late, Jobs whose pod ends with a
result, pods that take a while to serve and to end.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from llm_operator.api.conditions import timestamp
from llm_operator.api.llmdeployment import parse_llmdeployment
from llm_operator.autoscale.signals import PodLoad, PodState
from llm_operator.reconcile.actions import Apply, Cost, Delete, Drain, Plan, Undrain, Write
from llm_operator.reconcile.plan import plan
from llm_operator.reconcile.pods import DELETION_COST, deletion_cost, has_been_ready, node_of
from llm_operator.reconcile.world import World
from llm_operator.render import labels
from llm_operator.render.quantity import parse_quantity
from support import worlds

Object = dict[str, Any]

_NEXT = {PodState.LAME_DUCK: PodState.DRAINING, PodState.DRAINING: PodState.DRAINED}


NODE = "node0"


def _rank(pod: Object) -> tuple[bool, bool, bool, int]:
    """What a ReplicaSet takes first."""
    is_placed = bool(node_of(pod))
    return (is_placed, has_been_ready(pod), _is_ready(pod), deletion_cost(pod))


class KilledError(Exception):
    """The operator died between two writes."""


class RefusedError(Exception):
    """The API server refused a write."""


@dataclass
class SimulatedCluster:
    """One LLMDeployment's namespace."""

    deployment: Object
    settings: Any = worlds.SETTINGS
    now: datetime = worlds.NOW
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, Object] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Revisions whose pods never serve."""
    export_results: list[Mapping[str, Any]] = field(default_factory=list)
    """Termination messages of the coming exports; when there is none left, they succeed."""
    drains: dict[str, PodState] = field(default_factory=dict)
    """What pods that were asked to drain do now, by uid."""
    deaf: set[str] = field(default_factory=set)
    """Uids of pods that do not answer on their control port."""
    requests: dict[str, int] = field(default_factory=dict)
    """Requests that pods work on, by uid; a drain waits for them."""
    cut_off: dict[str, int] = field(default_factory=dict)
    """Requests that the limit of a drain has ended, by uid."""
    lies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Figures that pods invent, by uid."""
    room: int = 10_000
    """Runtime pods that nodes take."""
    quota: int = 10_000
    """Runtime pods that the API server makes."""
    startup: int = 2
    """Steps from a pod's node to its first answer."""
    lost: set[str] = field(default_factory=set)
    """Nodes that are gone: their pods neither answer nor end."""
    around: dict[str, Any] = field(default_factory=dict)
    """Further fields of the World: decision, activation, leaving_nodes…"""
    cut: int = 0
    """Pods that were taken while they served."""
    serial: int = 0
    writes: int = 0

    # what the operator does

    def world(self) -> World:
        return World(
            now=self.now,
            deployment=parse_llmdeployment(self.deployment),
            settings=self.settings,
            children=tuple(copy.deepcopy(list(self.objects.values()))),
            pods=tuple(copy.deepcopy(list(self.pods.values()))),
            control_authority=worlds.AUTHORITY,
            loads=self.loads(),
            **self.around,
        )

    def loads(self) -> dict[str, PodLoad]:
        """What the pods that have started say."""
        started = (pod["metadata"]["uid"] for pod in self.runtime_pods() if has_been_ready(pod))
        return {
            uid: replace(
                worlds.load(self.requests.get(uid, 0), self.drains.get(uid, PodState.SERVING)),
                **{"cut_off": self.cut_off.get(uid, 0), **self.lies.get(uid, {})},
            )
            for uid in started
            if uid not in self.deaf
        }

    def reconcile(self, *, die_after: int | None = None) -> Plan:
        """One run of the operator; KilledError when it dies before write number `die_after`."""
        made = plan(self.world())
        for index, write in enumerate(made.writes):
            if index == die_after:
                raise KilledError
            self._write(write)
        if len(made.writes) == die_after:
            raise KilledError
        if made.status is not None:
            _merge(self.deployment, made.status)
            self.writes += 1
        return made

    def edit(self, **spec: Any) -> None:
        """A user's change of the spec."""
        self.deployment["spec"] = {**self.deployment["spec"], **spec}
        self.deployment["metadata"]["generation"] += 1

    # what the API server does

    def _write(self, write: Write) -> None:
        self.writes += 1
        match write:
            case Delete():
                self._delete(write)
            case Apply():
                self._apply(write)
            case Cost(pod=name, cost=cost):
                annotations = {DELETION_COST: str(cost)} if cost else {}
                self.pods[name]["metadata"]["annotations"] = annotations
            case Drain(pod=name):
                self._ask(name, PodState.LAME_DUCK)
            case Undrain(pod=name):
                self._ask(name, PodState.SERVING)

    def _ask(self, name: str, state: PodState) -> None:
        uid = self.pods[name]["metadata"]["uid"]
        if uid not in self.deaf:
            self.drains[uid] = state

    def _delete(self, write: Delete) -> None:
        live = self.objects.get((write.kind, write.name))
        if live is None:
            return
        if live["metadata"]["uid"] != write.uid:
            raise RefusedError(f"{write.kind} {write.name}: uid precondition")
        del self.objects[write.kind, write.name]
        self._collect_garbage(write.uid)

    def _collect_garbage(self, owner_uid: str) -> None:
        for name, pod in list(self.pods.items()):
            if pod["metadata"]["ownerReferences"][0]["uid"] == owner_uid:
                if pod["metadata"]["labels"][labels.COMPONENT] == "runtime":
                    self._end(pod)
                else:
                    del self.pods[name]

    def _apply(self, write: Apply) -> None:
        wanted = copy.deepcopy(dict(write.manifest))
        key = wanted["kind"], wanted["metadata"]["name"]
        live = self.objects.get(key)
        if live is None:
            if write.uid is not None:
                raise RefusedError(f"{key}: uid precondition")
            self._create(key, wanted)
            return
        if write.uid != live["metadata"]["uid"]:
            raise RefusedError(f"{key}: a second one was to be made")
        self._replace(key, live, wanted)

    def _create(self, key: tuple[str, str], wanted: Object) -> None:
        self.serial += 1
        wanted["metadata"] |= {
            "uid": f"uid-{self.serial}",
            "generation": 1,
            "creationTimestamp": timestamp(self.now),
        }
        self.objects[key] = stored(wanted)

    def _replace(self, key: tuple[str, str], live: Object, wanted: Object) -> None:
        if key[0] == "Job":
            raise RefusedError("a Job's template is immutable")
        after = stored(wanted)
        if key[0] == "ControllerRevision" and after["data"] != live["data"]:
            raise RefusedError("a ControllerRevision's data is immutable")
        is_changed = after.get("spec") != live.get("spec")
        after["metadata"] = live["metadata"] | after["metadata"]
        after["metadata"]["generation"] = live["metadata"]["generation"] + is_changed
        if "status" in live:
            after["status"] = live["status"]
        self.objects[key] = after

    # what the controllers and kubelets do

    def step(self, seconds: float = 1.0) -> None:
        """Everything in the cluster gets on by one notch."""
        self.now += timedelta(seconds=seconds)
        for pod in list(self.pods.values()):
            self._run(pod)
        for deployment in self._of_kind("Deployment"):
            self._control_deployment(deployment)
        for job in self._of_kind("Job"):
            self._control_job(job)

    def settle(self, limit: int = 150) -> int:
        """Reconciles and steps until nothing changes any more; returns the number of rounds.

        Raises AssertionError where that never comes.
        """
        quiet = 0
        for rounds in range(limit):
            made = self.reconcile()
            is_quiet = made.is_empty and made.requeue_after is None
            before = copy.deepcopy((self.objects, self.pods)) if is_quiet else None
            self.step()
            quiet = quiet + 1 if before == (self.objects, self.pods) else 0
            if quiet == 3:
                return rounds
        raise AssertionError(f"still changing after {limit} rounds")

    def available(self, hash8: str | None = None) -> int:
        """Runtime pods that serve."""
        return sum(_is_ready(pod) for pod in self.runtime_pods(hash8))

    def runtime_pods(self, hash8: str | None = None) -> Iterator[Object]:
        """Those that are not on their way out."""
        for pod in self.pods.values():
            found = pod["metadata"]["labels"]
            is_ours = (
                found[labels.COMPONENT] == "runtime" and "deletionTimestamp" not in pod["metadata"]
            )
            if is_ours and hash8 in (None, found.get(labels.REVISION)):
                yield pod

    def _of_kind(self, kind: str) -> Iterator[Object]:
        return (found for found in list(self.objects.values()) if found["kind"] == kind)

    def _run(self, pod: Object) -> None:
        metadata = pod["metadata"]
        is_runtime = metadata["labels"][labels.COMPONENT] == "runtime"
        if node_of(pod) in self.lost or (is_runtime and not self._place(pod)):
            return
        metadata["age"] = min(metadata["age"] + 1, max(10, self.startup))
        if "deletionTimestamp" in metadata and metadata["age"] > 2:
            self.pods.pop(metadata["name"], None)
        elif not is_runtime:
            self._run_export(pod)
        elif self._has_loaded(pod):
            self._serve(pod)

    def _has_loaded(self, pod: Object) -> bool:
        metadata = pod["metadata"]
        is_broken = metadata["labels"][labels.REVISION] in self.broken
        return metadata["age"] >= self.startup and not is_broken

    def _place(self, pod: Object) -> bool:
        """What the scheduler does. Whether the pod has a node."""
        if node_of(pod) or "deletionTimestamp" in pod["metadata"]:
            return True
        if sum(node_of(other) == NODE for other in self.runtime_pods()) < self.room:
            pod["spec"], pod["status"] = {"nodeName": NODE}, {}
            return True
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        known = pod["status"].get("conditions", [{"lastTransitionTime": timestamp(self.now)}])
        condition["lastTransitionTime"] = known[0]["lastTransitionTime"]
        pod["status"] = {"phase": "Pending", "conditions": [condition]}
        return False

    def lose(self, node: str) -> None:
        """A node goes away: its pods are marked, and then nothing is heard of them."""
        self.lost.add(node)
        for pod in self.runtime_pods():
            if node_of(pod) == node:
                pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
                self.deaf.add(pod["metadata"]["uid"])

    def _serve(self, pod: Object) -> None:
        """A pod's own life: a drain takes its steps, and readiness follows."""
        uid = pod["metadata"]["uid"]
        state = self.drains.get(uid, PodState.SERVING)
        is_ready = "True" if state is PodState.SERVING else "False"
        pod["status"]["conditions"] = [{"type": "Ready", "status": is_ready}]
        pod["status"]["containerStatuses"] = [{"name": "runtime", "started": True}]
        if state is not PodState.DRAINING or not self.requests.get(uid):
            self.drains[uid] = _NEXT.get(state, state)

    def _run_export(self, pod: Object) -> None:
        if pod["metadata"]["age"] != 3 or "phase" in pod["status"]:
            return
        default = {
            "step": "push",
            "ok": True,
            "resolvedRevision": "c0ffee",
            "image": f"registry/llm-operator/artifacts@{worlds.DIGEST}",
            "digest": worlds.DIGEST,
            "sizeBytes": 5_000_000,
            "precision": "fp32",
            "family": "llama",
        }
        result = self.export_results.pop(0) if self.export_results else default
        ended = {"exitCode": 0 if result["ok"] else 1, "message": json.dumps(result)}
        pod["status"] = {
            "phase": "Succeeded" if result["ok"] else "Failed",
            "containerStatuses": [{"name": "push", "state": {"terminated": ended}}],
        }

    def _control_deployment(self, deployment: Object) -> None:
        hash8 = deployment["metadata"]["labels"][labels.REVISION]
        pods = list(self.runtime_pods(hash8))
        wanted = deployment["spec"]["replicas"]
        allowed = max(0, self.quota - len(list(self.runtime_pods())))
        for _ in range(min(wanted - len(pods), allowed)):
            self._start(deployment, deployment["spec"]["template"]["metadata"]["labels"])
        for pod in sorted(pods, key=_rank)[: max(0, len(pods) - wanted)]:
            state = self.drains.get(pod["metadata"]["uid"], PodState.SERVING)
            self.cut += has_been_ready(pod) and state is not PodState.DRAINED
            self._end(pod)
        ready = self.available(hash8)
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(list(self.runtime_pods(hash8))),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if wanted - len(pods) > allowed:
            refused = {
                "type": "ReplicaFailure",
                "status": "True",
                "message": "exceeded quota: gpus",
            }
            deployment["status"]["conditions"] = [refused]

    def _control_job(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        pods = [p for p in self.pods.values() if p["metadata"]["ownerReferences"][0]["uid"] == uid]
        if not pods:
            self._start(job, job["spec"]["template"]["metadata"]["labels"])
        for pod in pods:
            kind = {"Succeeded": "Complete", "Failed": "Failed"}.get(pod["status"].get("phase"))
            if kind is not None and "status" not in job:
                time = timestamp(self.now)
                condition = {"type": kind, "status": "True", "lastTransitionTime": time}
                job["status"] = {"conditions": [condition]}

    def _start(self, owner: Object, pod_labels: Mapping[str, str]) -> None:
        self.serial += 1
        name = f"{owner['metadata']['name']}-{self.serial}"
        reference = {"kind": owner["kind"], "uid": owner["metadata"]["uid"], "controller": True}
        metadata = {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{self.serial}",
            "labels": dict(pod_labels),
            "ownerReferences": [reference],
            "creationTimestamp": timestamp(self.now),
            "age": 0,
        }
        self.pods[name] = {"metadata": metadata, "status": {}}

    def _end(self, pod: Object) -> None:
        pod["metadata"] |= {"deletionTimestamp": timestamp(self.now), "age": 0}
        pod["status"] = {}

    # other people

    def upgraded(self, **settings: Any) -> "SimulatedCluster":
        """The same cluster under an operator that renders differently."""
        return replace(self, settings=replace(self.settings, **settings))


def stored(wanted: Object) -> Object:
    """What the API server keeps of it: canonical quantities, defaults, nothing empty."""
    if wanted["kind"] == "ControllerRevision":
        return wanted  # its data is kept as it is
    kept: Object = _without_empty(wanted)
    pod = (kept.get("spec") or {}).get("template", {}).get("spec")
    if pod is not None:
        pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            container["terminationMessagePath"] = "/dev/termination-log"
            for amounts in container.get("resources", {}).values():
                amounts |= {name: _as_stored(amount) for name, amount in amounts.items()}
    if kept["kind"] == "Service" and "clusterIP" not in kept["spec"]:
        kept["spec"] |= {"clusterIP": "10.96.0.1", "sessionAffinity": "None"}
    if kept["kind"] == "Deployment":
        kept["spec"]["strategy"] = {"type": "RollingUpdate"}
    return kept


def _as_stored(amount: Any) -> str:
    """The API server's own spelling: 1000m is 1, 0.5 is 500m, 1024Mi is 1Gi."""
    value = parse_quantity(amount)
    if value != int(value):
        return f"{int(value * 1000)}m"
    for suffix, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value and value % factor == 0:
            return f"{int(value) // factor}{suffix}"
    return str(int(value))


def _without_empty(value: Any) -> Any:
    """Without false and empty strings, as fields marked omitempty come back."""
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if v is not False and v != ""}
    return [_without_empty(item) for item in value] if isinstance(value, list) else value


def _is_ready(pod: Object) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod["status"].get("conditions", ())
    )


def _merge(target: Object, patch: Mapping[str, Any]) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = copy.deepcopy(value)
