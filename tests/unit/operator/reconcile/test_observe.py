"""What a World is made of, and whom an observation asks."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from llm_operator.control.authority import Authority
from llm_operator.control.progress import Progress, ProgressClient
from llm_operator.kube.client import KubeClient, Listing
from llm_operator.kube.errors import answered
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import Resource
from llm_operator.kube.store import Key
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.observe import Observer
from llm_operator.reconcile.scaling import Scaling
from llm_operator.reconcile.sharing import Sharing
from llm_operator.reconcile.world import World
from support import worlds

KEY = Key("default", "demo")
LABELS = {"llm-operator.dev/deployment": "demo", "app.kubernetes.io/component": "export"}


@dataclass
class Surroundings:
    """API server, issuer and export pods in one."""

    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    authority: tuple[str, dict[str, Any]] | None = ("https://issuer", {"keys": []})
    progress: Progress | None = None
    asked: list[str] = field(default_factory=list)
    left: list[Key] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    is_forbidden: bool = False

    async def get(self, resource: Resource, _namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((resource.kind, name))

    async def list(self, what: Selection) -> Listing:
        self.listed.append(str(what.fields))
        reason = str(what.fields).partition(",")[0].removeprefix("reason=")
        if self.is_forbidden:
            raise answered(403, {"message": "events are not yours"})
        return Listing(tuple(e for e in self.events if e["reason"] == reason), "1")

    async def known(self) -> tuple[str, dict[str, Any]] | None:
        return self.authority

    def observe(self, world: World) -> World:
        return world

    def leave(self, key: Key) -> None:
        self.left.append(key)

    async def ask(self, address: str) -> Progress | None:
        self.asked.append(address)
        return self.progress


def an_observer(around: Surroundings, caches: Caches | None = None) -> Observer:
    return Observer(
        cast(KubeClient, around),
        caches or Caches(),
        worlds.SETTINGS,
        cast(Authority, around),
        cast(ProgressClient, around),
        cast(Scaling, around),
        cast(Sharing, around),
        clock=lambda: worlds.NOW,
    )


def with_object(**changes: Any) -> Surroundings:
    return Surroundings({("LLMDeployment", "demo"): worlds.manifest()}, **changes)


def a_pod(name: str, phase: str, address: str = "10.0.0.1", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "resourceVersion": "1",
            "labels": LABELS,
            "creationTimestamp": "2027-01-01T00:00:00Z",
            **metadata,
        },
        "status": {"phase": phase, "podIP": address},
    }


async def observed(around: Surroundings, *pods: dict[str, Any]) -> World:
    caches = Caches()
    for pod in pods:
        caches.stores["Pod"].put(pod)
    world = await an_observer(around, caches).observe(KEY)
    assert world is not None
    return world


async def test_an_absent_object_has_no_world() -> None:
    assert await an_observer(Surroundings()).observe(KEY) is None


async def test_a_world_holds_what_the_stores_know_of_its_object_alone() -> None:
    caches = Caches()
    for name, owner in (("mine", "demo"), ("other", "else")):
        metadata = {"name": name, "namespace": "default", "resourceVersion": "1"}
        labels = {"llm-operator.dev/deployment": owner}
        service = {"kind": "Service", "metadata": {**metadata, "labels": labels}}
        caches.stores["Service"].put(service)
    world = await an_observer(with_object(), caches).observe(KEY)
    assert world is not None
    assert [child["metadata"]["name"] for child in world.children] == ["mine"]
    assert world.now == worlds.NOW


async def test_without_an_export_pod_nobody_is_asked_for_progress() -> None:
    around = with_object()
    assert (await observed(around)).export_progress is None
    assert around.asked == []


async def test_the_newest_pod_that_exports_is_asked() -> None:
    around = with_object(progress=Progress("fetch", 1, 2, None))
    world = await observed(
        around,
        a_pod("old", "Running", "10.0.0.1"),
        a_pod("new", "Pending", "10.0.0.2", creationTimestamp="2027-01-01T00:01:00Z"),
        a_pod("ended", "Succeeded", "10.0.0.3", creationTimestamp="2027-01-01T00:02:00Z"),
    )
    assert around.asked == ["10.0.0.2"]
    assert world.export_progress is not None
    assert world.export_progress.pod_uid == "new"


async def test_a_pod_that_is_going_or_has_no_address_is_not_asked() -> None:
    around = with_object()
    await observed(
        around,
        a_pod("going", "Running", deletionTimestamp="2027-01-01T00:00:00Z"),
        a_pod("new", "Pending", ""),
    )
    assert around.asked == []


async def test_an_unknown_issuer_leaves_the_authority_open() -> None:
    assert (await observed(with_object(authority=None))).control_authority is None


async def test_of_what_stands_in_the_way_ours_are_children_and_the_rest_strangers() -> None:
    ours = {"metadata": {"name": "demo", "labels": {"llm-operator.dev/deployment": "demo"}}}
    theirs = {"metadata": {"name": "demo-pods"}}
    around = with_object()
    around.objects |= {("Service", "demo"): ours, ("Service", "demo-pods"): theirs}
    wanted = [
        {"kind": "Service", "metadata": {"name": name, "namespace": "default"}}
        for name in ("demo", "demo-pods", "free")
    ]
    world = await an_observer(around).with_strangers(worlds.world(), wanted)
    assert world.children == (ours,)
    assert world.strangers == (theirs,)


def without_a_node(uid: str = "waits") -> dict[str, Any]:
    pod = a_pod(uid, "Pending", "")
    condition = {"type": "PodScheduled", "status": "False", "message": "no node fits"}
    pod["metadata"]["labels"] = {**LABELS, "app.kubernetes.io/component": "runtime"}
    pod["metadata"]["uid"], pod["status"]["conditions"] = uid, [condition]
    return pod


def said(reason: str, minute: int, uid: str = "waits", **form: Any) -> dict[str, Any]:
    """An Event of the cluster autoscaler."""
    told = form or {"lastTimestamp": f"2027-01-01T11:{minute:02}:00Z"}
    return {"reason": reason, "involvedObject": {"uid": uid}, "metadata": {}, **told}


NO, YES = "NotTriggerScaleUp", "TriggeredScaleUp"
TOLD_LATER: dict[str, Any] = {
    "eventTime": "2027-01-01T11:00:00.5Z",
    "series": {"lastObservedTime": "2027-01-02"},
}


@pytest.mark.parametrize(
    ("events", "is_refused"),
    [
        ([], False),
        ([said(NO, 1)], True),
        ([said(NO, 1, uid="another")], False),
        ([said(YES, 1)], False),
        ([said(NO, 1), said(YES, 2)], False),
        ([said(YES, 1), said(NO, 2)], True),
        ([said(NO, 1), said(YES, 2), said(NO, 3)], True),
        ([said(NO, 2), said(YES, 2)], False),
        ([said(NO, 0, **TOLD_LATER), said(YES, 2)], True),
    ],
)
async def test_the_last_word_of_a_cluster_autoscaler_on_a_pod_that_waits_counts(
    events: list[dict[str, Any]], is_refused: bool
) -> None:
    world = await observed(with_object(events=events), without_a_node())
    assert world.is_scale_up_refused is is_refused


async def test_while_every_pod_has_a_node_nobody_is_asked_for_events() -> None:
    around = with_object(events=[said(NO, 1)])
    world = await observed(around, a_pod("runs", "Running"))
    assert (world.is_scale_up_refused, around.listed) == (False, [])


async def test_events_that_are_not_ours_to_read_refuse_nothing() -> None:
    world = await observed(with_object(is_forbidden=True), without_a_node())
    assert not world.is_scale_up_refused
