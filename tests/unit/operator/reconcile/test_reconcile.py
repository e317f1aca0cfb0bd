"""One run: what is looked at, in which order it is done, and when comes the next."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from llm_operator.control.drain import DrainClient
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import ConflictError, KubeError, answered
from llm_operator.kube.events import EventRecorder, News
from llm_operator.kube.request import Doomed, Request
from llm_operator.kube.store import Key
from llm_operator.reconcile.actions import Apply, Delete, Event, Plan
from llm_operator.reconcile.apply import Applier
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.observe import Observer
from llm_operator.reconcile.reconcile import FOLLOW_UP_SECONDS, Outcome, Reconciler, Run, refusal_of
from llm_operator.reconcile.world import World
from support import worlds

KEY = Key("default", "demo")


def a_service(name: str = "demo") -> dict[str, Any]:
    labels = {"llm-operator.dev/deployment": "demo"}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata}


def an_apply(name: str = "demo", uid: str | None = "u-1") -> Apply:
    return Apply(a_service(name), uid)


A_DELETE = Delete("v1", "Service", "default", "old", "u-9")
STATUS = {"status": {"phase": "Running"}}
AN_EVENT = Event("Normal", "ScaledUp", "from 1 to 2")


@dataclass
class Server:
    """Takes writes in order; `failing` are the numbers of those that it refuses."""

    failing: dict[int, KubeError] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    async def apply(self, manifest: dict[str, Any], *, uid: str | None) -> dict[str, Any]:
        self._do(f"apply {manifest['metadata']['name']} {uid}")
        kept = {"uid": "u-1", "resourceVersion": "5"}
        return {**manifest, "metadata": {**manifest["metadata"], **kept}}

    async def delete(self, doomed: Doomed, propagation: str) -> None:
        self._do(f"delete {doomed.name} {doomed.uid} {propagation}")

    async def send(self, request: Request) -> dict[str, Any]:
        self._do(f"{request.verb} {request.subresource}")
        return {}

    async def tell(self, regarding: dict[str, Any], news: News) -> None:
        self.done.append(f"event {news.reason} {regarding['metadata']['uid']}")

    def _do(self, what: str) -> None:
        error = self.failing.get(len(self.done))
        if error is not None:
            raise error
        self.done.append(what)


@dataclass
class Eyes:
    """Sees one World; strangers only when asked for them."""

    world: World | None
    strangers: tuple[dict[str, Any], ...] = ()
    asked: list[int] = field(default_factory=list)

    async def observe(self, _key: Key) -> World | None:
        return self.world

    async def with_strangers(self, world: World, creations: tuple[Any, ...]) -> World:
        self.asked.append(len(creations))
        return replace(world, strangers=self.strangers)


def a_reconciler(eyes: Eyes, server: Server, *plans: Plan) -> Reconciler:
    coming = iter(plans)
    applier = Applier(
        cast(KubeClient, server), Caches(), cast(EventRecorder, server), cast(DrainClient, server)
    )
    return Reconciler(cast(Observer, eyes), lambda _: next(coming), applier)


async def test_an_llmdeployment_that_is_gone_needs_nothing() -> None:
    server = Server()
    assert await a_reconciler(Eyes(None), server).reconcile(KEY) == Run(Outcome.ABSENT)
    assert server.done == []


async def test_an_empty_plan_writes_nothing_and_keeps_its_wish_to_come_back() -> None:
    server, eyes = Server(), Eyes(worlds.world())
    run = await a_reconciler(eyes, server, Plan(requeue_after=30)).reconcile(KEY)
    assert run == Run(Outcome.UNCHANGED, 30)
    assert (server.done, eyes.asked) == ([], [])


async def test_writes_come_in_their_order_then_the_status_then_the_events() -> None:
    server = Server()
    plan = Plan((an_apply("a"), A_DELETE, an_apply("b")), STATUS, (AN_EVENT,))
    await a_reconciler(Eyes(worlds.world()), server, plan).reconcile(KEY)
    assert server.done == [
        "apply a u-1",
        "delete old u-9 Background",
        "apply b u-1",
        "patch status",
        f"event ScaledUp {worlds.UID}",
    ]


async def test_the_first_failure_ends_the_run() -> None:
    server = Server(failing={1: answered(409, {"reason": "Conflict"})})
    plan = Plan((an_apply("a"), an_apply("b"), an_apply("c")), STATUS, (AN_EVENT,))
    with pytest.raises(ConflictError) as caught:
        await a_reconciler(Eyes(worlds.world()), server, plan).reconcile(KEY)
    assert server.done == ["apply a u-1"]
    assert caught.value.made_progress


async def test_a_failure_at_the_first_write_is_no_progress() -> None:
    server = Server(failing={0: answered(500, {})})
    with pytest.raises(KubeError) as caught:
        await a_reconciler(Eyes(worlds.world()), server, Plan((an_apply(),))).reconcile(KEY)
    assert not caught.value.made_progress


async def test_after_children_were_written_comes_another_look() -> None:
    server = Server()
    plans = Plan((an_apply(),)), Plan((an_apply(),), requeue_after=300), Plan(status=STATUS)
    reconciler = a_reconciler(Eyes(worlds.world()), server, *plans)
    waits = [(await reconciler.reconcile(KEY)).requeue_after for _ in plans]
    assert waits == [FOLLOW_UP_SECONDS, FOLLOW_UP_SECONDS, None]


async def test_before_something_is_made_its_place_is_looked_at_and_the_plan_made_anew() -> None:
    server, eyes = Server(), Eyes(worlds.world(), strangers=(a_service(),))
    first, second = Plan((an_apply(uid=None), an_apply("b"))), Plan(status=STATUS)
    await a_reconciler(eyes, server, first, second).reconcile(KEY)
    assert eyes.asked == [1]
    assert server.done == ["patch status"]


async def test_what_was_written_is_known_before_the_watch_tells() -> None:
    server, caches = Server(), Caches()
    applier = Applier(
        cast(KubeClient, server), caches, cast(EventRecorder, server), cast(DrainClient, server)
    )
    await applier.apply(KEY, worlds.UID, Plan((an_apply(),)))
    assert [child["metadata"]["uid"] for child in caches.children(KEY)] == ["u-1"]


async def test_what_was_deleted_is_forgotten_before_the_watch_tells() -> None:
    server, caches = Server(), Caches()
    old = a_service("old")
    old["metadata"] |= {"uid": "u-9", "resourceVersion": "3"}
    caches.stores["Service"].put(old)
    applier = Applier(
        cast(KubeClient, server), caches, cast(EventRecorder, server), cast(DrainClient, server)
    )
    await applier.apply(KEY, worlds.UID, Plan((A_DELETE,)))
    assert caches.children(KEY) == ()


@dataclass
class Deaf(Server):
    """Refuses children, and the status, too."""

    async def send(self, request: Request) -> dict[str, Any]:  # noqa: ARG002
        raise answered(500, {"message": "etcd is down"})


async def test_a_refusal_is_raised_even_where_the_status_cannot_tell_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Deaf(failing={0: answered(403, {"message": "exceeded quota: services"})})
    with pytest.raises(KubeError, match="exceeded quota"):
        await a_reconciler(Eyes(worlds.world()), server, Plan((an_apply(),))).reconcile(KEY)
    (told,) = caplog.records
    assert "etcd is down" in str(vars(told)["error"])
    assert vars(told)["key"] == str(KEY)


def test_what_is_wrong_with_a_child_is_wrong_with_the_spec() -> None:
    error = answered(422, {"message": "spec.nodeSelector: Invalid value"})
    error.about = "Deployment demo-1"
    refusal = refusal_of(error)
    assert (refusal.status, refusal.reason) == ("False", "InvalidSpec")
    assert "Deployment demo-1" in refusal.message
    assert "spec.nodeSelector" in refusal.message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("exceeded quota: jobs", "QuotaExceeded"),
        ('admission webhook "w" denied the request', "InvalidSpec"),
    ],
)
def test_what_is_forbidden_now_may_be_allowed_later(message: str, reason: str) -> None:
    refusal = refusal_of(answered(403, {"message": message}))
    assert (refusal.status, refusal.reason) == ("Unknown", reason)
