"""The operator against a real API server and Kubernetes' own controllers: it converges, and then
keeps still."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_operator.kube.resources import BY_KIND
from llm_operator.reconcile.plan import plan
from llm_operator.reconcile.world import World
from support.children import CHILD_KINDS
from support.operator_life import Life, alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(180)


async def quiet(life: Life) -> None:
    """Returns when runs have found nothing to do, one after the other, and nothing was written."""
    writes = -1
    while writes != len(life.api.writes):
        writes, runs = len(life.api.writes), life.reconciles
        await eventually(lambda: life.reconciles >= runs + 3)  # noqa: B023 - awaited right here


async def test_a_fresh_object_becomes_ready(place: Place) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
    assert sorted(kind for kind, _ in await place.children()) == CHILD_KINDS


async def test_a_converged_world_gets_no_write_in_ten_resyncs(place: Place) -> None:
    settings = settings_for(place.namespace, resync_seconds=1.0)
    async with alive(place.configuration, settings, plan) as life:
        key = await place.deploy("demo", replicas=2)
        await eventually(lambda: place.is_settled(key))
        await quiet(life)  # late news of the controllers
        before, runs = list(life.api.writes), life.reconciles
        await eventually(lambda: life.reconciles >= runs + 10, seconds=30)
        assert life.api.writes == before


async def test_a_restarted_operator_writes_nothing_to_a_converged_world(place: Place) -> None:
    settings = settings_for(place.namespace, resync_seconds=0.5)
    key = await place.deploy("demo")
    async with alive(place.configuration, settings, plan) as life:
        await eventually(lambda: place.is_settled(key))
        await quiet(life)
    async with alive(place.configuration, settings, plan) as life:
        await eventually(lambda: life.reconciles >= 1)
        assert life.api.writes == []


def rendered_by_a_newer_version(world: World) -> Any:
    """A test build whose rendering differs in what a pod gets."""
    newer = replace(
        world.settings, runtime_image="localhost/llm-operator/runtime:2", exporter_image="e:2"
    )
    return plan(replace(world, settings=newer))


async def test_a_newer_operator_rolls_no_pod(place: Place) -> None:
    settings = settings_for(place.namespace, resync_seconds=0.5)
    key = await place.deploy("demo", replicas=2)
    async with alive(place.configuration, settings, plan):
        await eventually(lambda: place.is_settled(key))
    pods = await place.pods()
    async with alive(place.configuration, settings, rendered_by_a_newer_version) as life:
        await eventually(lambda: _has_condition(place, "RuntimeOutdated"))
        await quiet(life)
    assert await place.pods() == pods


async def _has_condition(place: Place, kind: str) -> bool:
    status = await place.status(place.key("demo"))
    return any(c["type"] == kind for c in status.get("conditions", ()))


async def test_scaling_changes_the_pods_and_makes_no_revision(place: Place) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        revisions = {name for kind, name in await place.children() if kind == "ControllerRevision"}
        await place.edit(key, replicas=3)
        await eventually(lambda: _ready_replicas(place, 3))
    children = await place.children()
    assert {name for kind, name in children if kind == "ControllerRevision"} == revisions


async def _ready_replicas(place: Place, count: int) -> bool:
    status = await place.status(place.key("demo"))
    return status.get("readyReplicas") == count


EDITS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "Service": lambda _: {"metadata": {"labels": {"app.kubernetes.io/name": "x"}}},
    "Deployment": lambda _: {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}},
    "NetworkPolicy": lambda _: {"spec": {"policyTypes": ["Egress"]}},
    "PodDisruptionBudget": lambda _: {"metadata": {"labels": {"app.kubernetes.io/name": "x"}}},
    "ConfigMap": lambda _: {"data": {"control-auth.json": "{}"}},
}


@pytest.mark.parametrize("kind", ["Service", "NetworkPolicy", "ConfigMap", "PodDisruptionBudget"])
async def test_a_child_that_was_deleted_by_hand_comes_back(place: Place, kind: str) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        name = min(name for of, name in await place.children() if of == kind)
        await place.remove(BY_KIND[kind].path(place.namespace, name))
        await eventually(lambda: _exists(place, kind, name), seconds=5)


async def _exists(place: Place, kind: str, name: str) -> bool:
    return (kind, name) in await place.children()


@pytest.mark.parametrize("kind", EDITS)
async def test_a_child_that_was_changed_by_hand_is_repaired(place: Place, kind: str) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        (of, name), before = next(
            item for item in (await place.children()).items() if item[0][0] == kind
        )
        await place.merge(BY_KIND[of].path(place.namespace, name), EDITS[kind](before))

        async def is_repaired() -> bool:
            after = (await place.children())[kind, name]
            same = ("data", "spec")
            return after["metadata"]["labels"] == before["metadata"]["labels"] and all(
                after.get(part) == before.get(part) for part in same
            )

        await eventually(is_repaired)


async def test_an_object_of_somebody_else_is_left_alone_and_named(place: Place) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "demo", "namespace": place.namespace},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
    }
    theirs = await place.create(foreign)
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo")

        async def is_told() -> bool:
            conditions = (await place.status(key)).get("conditions", ())
            return any("demo" in c["message"] and c["status"] == "False" for c in conditions)

        await eventually(is_told)
    now = await place.admin.get(BY_KIND["Service"], place.namespace, "demo")
    assert now is not None
    assert now["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]


async def test_deleting_the_object_removes_every_child_while_no_operator_runs(
    place: Place,
) -> None:
    key = await place.deploy("demo")
    async with alive(place.configuration, settings_for(place.namespace), plan):
        await eventually(lambda: place.is_settled(key))
    await place.remove(BY_KIND["LLMDeployment"].path(*key))

    async def is_empty() -> bool:
        return not await place.children() and not await place.pods()

    await eventually(is_empty, seconds=30)
