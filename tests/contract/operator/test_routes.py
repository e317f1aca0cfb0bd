"""GRPCRoutes on a real API server, with and without the real Gateway API."""

from typing import Any

import pytest

from llm_operator.kube.store import Key
from llm_operator.reconcile.plan import plan
from support.gateway_api import GatewayApi
from support.operator_life import alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(180)

ROUTING = {"gateway": {"parentRefs": [{"name": "public"}], "hostnames": ["demo.test"]}}


async def verdict(place: Place, key: Key) -> str:
    """Status and reason of RouteReady."""
    found: list[dict[str, Any]] = (await place.status(key)).get("conditions") or []
    return next((f"{c['status']} {c['reason']}" for c in found if c["type"] == "RouteReady"), "")


async def test_a_gateway_api_that_comes_and_goes_is_noticed_without_a_restart(
    place: Place, gateway_api: GatewayApi
) -> None:
    settings = settings_for(place.namespace, resync_seconds=1000.0)
    async with alive(place.configuration, settings, plan) as life:
        key = await place.deploy("demo", routing=ROUTING)
        await eventually(lambda: place.is_settled(key))
        assert await verdict(place, key) == "False CRDNotInstalled"
        assert life.operator.loop.what_is_missing() == ""
        await gateway_api.install()
        await eventually(lambda: place.route("demo"), seconds=40)
        await gateway_api.remove()

        async def is_told() -> bool:
            return await verdict(place, key) == "False CRDNotInstalled"

        await eventually(is_told, seconds=40)
        assert await place.is_ready(key)
        assert life.operator.loop.what_is_missing() == ""


async def test_what_the_gateway_says_is_in_the_status(
    place: Place, gateway_api: GatewayApi
) -> None:
    await gateway_api.install()
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo", routing=ROUTING)
        await eventually(lambda: place.is_settled(key))
        assert await verdict(place, key) == "Unknown NotAccepted"
        await gateway_api.accept("demo")

        async def is_programmed() -> bool:
            return await verdict(place, key) == "True Programmed"

        await eventually(is_programmed)


async def test_a_route_follows_the_spec_and_goes_with_it(
    place: Place, gateway_api: GatewayApi
) -> None:
    await gateway_api.install()
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo", routing=ROUTING)
        await eventually(lambda: place.route("demo"))
        await place.edit(key, routing={"gateway": {"hostnames": ["other.test"]}})

        async def has_followed() -> bool:
            route = await place.route("demo")
            return route is not None and route["spec"]["hostnames"] == ["other.test"]

        await eventually(has_followed)
        await place.edit(key, routing={"gateway": None})

        async def has_gone() -> bool:
            return await place.route("demo") is None and not await verdict(place, key)

        await eventually(has_gone)
