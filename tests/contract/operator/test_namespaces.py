"""An operator that serves two namespaces knows what is in both."""

from collections.abc import AsyncIterator

import pytest

from llm_operator.kube.request import Request
from llm_operator.reconcile.plan import plan
from support.operator_life import alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def second(place: Place) -> AsyncIterator[str]:
    name = f"{place.namespace}-second"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    path = "/api/v1/namespaces"
    await place.admin.send(Request(verb="create", method="POST", path=path, body=manifest))
    yield name
    await place.remove(f"{path}/{name}")


async def test_the_list_of_one_namespace_does_not_hide_the_children_in_the_other(
    place: Place, second: str
) -> None:
    settings = settings_for(place.namespace, watch_namespaces=(place.namespace, second))
    key = await place.deploy("demo")
    async with alive(place.configuration, settings, plan):
        await eventually(lambda: place.is_settled(key))
    async with alive(place.configuration, settings, plan) as life:
        await eventually(lambda: life.reconciles >= 1)
        stores = life.operator.loop.reconciler.observer.caches.stores
        assert all(len(stores[kind]) for kind in ("Deployment", "Service", "Job", "Pod"))
        assert life.api.writes == []
