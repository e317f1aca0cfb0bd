"""An API server that refuses, throttles or goes away: everything converges, nothing is hammered."""

import asyncio
import itertools
from typing import cast

import pytest

from llm_operator.reconcile.plan import plan
from support.faulty_api import FaultyApi, Refusal
from support.operator_life import alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(180)

CODES = (409, 422, 429, 500, 503)


async def test_every_write_that_is_refused_once_is_done_in_the_end(place: Place) -> None:
    codes = itertools.cycle(CODES)

    def first_time(method: str, _path: str, before: int) -> Refusal | None:
        return Refusal(next(codes)) if method != "GET" and before == 0 else None

    settings = settings_for(place.namespace)
    async with alive(place.configuration, settings, plan, client=FaultyApi) as life:
        api = cast(FaultyApi, life.api)
        api.fault = first_time
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key), seconds=120)
        most = max(count for (method, _), count in api.calls.items() if method != "GET")
        assert most < 30


async def test_a_write_that_is_always_refused_is_not_hammered(place: Place) -> None:
    def services(method: str, path: str, _before: int) -> Refusal | None:
        return Refusal(500) if method != "GET" and "/services/" in path else None

    settings = settings_for(place.namespace)
    async with alive(place.configuration, settings, plan, client=FaultyApi) as life:
        api = cast(FaultyApi, life.api)
        api.fault = services
        await place.deploy("demo")
        await asyncio.sleep(12)
        refused = [
            n for (method, path), n in api.calls.items() if "/services/" in path and method != "GET"
        ]
        assert 1 <= max(refused) <= 10


async def test_a_wish_to_wait_is_granted(place: Place) -> None:
    times: list[float] = []

    def throttled(method: str, path: str, before: int) -> Refusal | None:
        if method == "GET" or "/serviceaccounts/" not in path:
            return None
        times.append(asyncio.get_running_loop().time())
        return Refusal(429, {"Retry-After": "4"}) if before == 0 else None

    settings = settings_for(place.namespace)
    async with alive(place.configuration, settings, plan, client=FaultyApi) as life:
        cast(FaultyApi, life.api).fault = throttled
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key), seconds=60)
    assert times[1] - times[0] >= 4


async def test_an_outage_touches_no_pod_and_is_over_ten_seconds_after_it_ends(
    place: Place,
) -> None:
    settings = settings_for(place.namespace)
    async with alive(place.configuration, settings, plan, client=FaultyApi) as life:
        api = cast(FaultyApi, life.api)
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        pods = await place.pods()
        api.is_down = True
        await place.edit(key, replicas=2)
        await asyncio.sleep(8)
        assert api.refused < 12 * 10
        assert await place.pods() == pods
        api.is_down = False

        async def is_scaled() -> bool:
            return (await place.status(key)).get("readyReplicas") == 2

        await eventually(is_scaled, seconds=12)


async def test_an_object_that_cannot_be_read_does_not_hold_up_the_others(place: Place) -> None:
    def one(method: str, path: str, _before: int) -> Refusal | None:
        return Refusal(500) if method == "GET" and path.endswith("/llmdeployments/bad") else None

    settings = settings_for(place.namespace)
    async with alive(place.configuration, settings, plan, client=FaultyApi) as life:
        cast(FaultyApi, life.api).fault = one
        await place.deploy("bad")
        good = await place.deploy("good")
        await eventually(lambda: place.is_settled(good))
