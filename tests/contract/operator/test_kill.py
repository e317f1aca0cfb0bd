"""The operator killed at every one of its writes still gets every story to its end.

Each life ends at its first or second write: either right after the server has done it, so that the
answer is lost, or between two writes. The next life starts from what is there. The end must be the
same world as without any death: same objects, nothing twice, nothing left over.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llm_operator.kube.resources import LLM_DEPLOYMENT
from llm_operator.kube.store import Key
from llm_operator.reconcile.plan import plan
from support.operator_life import Moment, alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(300)

MOMENTS = [pytest.param((1, "after"), id="answer-lost"), pytest.param((2, "before"), id="between")]
Cut = tuple[int, Moment]
Done = Callable[[], Awaitable[bool]]

ASSIGNED = re.compile(
    r"uid|resourceVersion|creationTimestamp|generation|managedFields|status|clusterIPs?"
    r"|.*controller-uid|.*/rendered"  # the last is a digest over the name too
)
MOST_LIVES = 100


async def live_and_die(place: Place, cut: Cut, done: Done) -> int:
    """Lives one after the other until the story is done; returns how many died."""
    for died in range(MOST_LIVES):
        async with alive(place.configuration, settings_for(place.namespace), plan, cut=cut) as life:

            async def is_over(cut_off: Callable[[], bool] = life.api.is_cut.is_set) -> bool:
                return cut_off() or await done()

            await eventually(is_over)
            is_done = not life.api.is_cut.is_set()
        await place.expire_lease()
        if is_done and await done():
            return died
    raise AssertionError(f"not done after {MOST_LIVES} lives")


async def live_well(place: Place, done: Done) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        await eventually(done)


def shape(children: dict[tuple[str, str], dict[str, Any]], namespace: str) -> dict[str, str]:
    """The objects without what the server assigns anew each time."""
    return {
        f"{kind}/{name}": json.dumps(_lasting(child), sort_keys=True).replace(namespace, "NS")
        for (kind, name), child in sorted(children.items())
    }


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: part for key, part in value.items() if not ASSIGNED.fullmatch(key)}
        return {key: _lasting(part) for key, part in kept.items()}
    return [_lasting(part) for part in value] if isinstance(value, list) else value


async def assert_nothing_twice(place: Place, replicas: int) -> None:
    children = await place.children()
    jobs = [name for kind, name in children if kind == "Job"]

    async def is_exact() -> bool:
        return len(await place.pods()) == replicas + len(jobs)

    await eventually(is_exact)


def without_name(found: dict[str, str], name: str) -> dict[str, str]:
    return {
        key.replace(name, "NAME"): text.replace(name, "NAME")
        for key, text in found.items()
        if name in key
    }


async def compare(place: Place, harmed: Key, unharmed: Key) -> None:
    """Both LLMDeployments have the same children, but for their names."""
    found = shape(await place.children(), place.namespace)
    first, second = without_name(found, harmed.name), without_name(found, unharmed.name)
    assert first.keys() == second.keys()
    for key, text in second.items():
        assert first[key] == text, key


@pytest.mark.parametrize("cut", MOMENTS)
async def test_a_creation_survives_a_death_at_each_of_its_writes(place: Place, cut: Cut) -> None:
    harmed = await place.deploy("harmed", replicas=2)
    died = await live_and_die(place, cut, lambda: place.is_settled(harmed))
    assert died >= 12
    await assert_nothing_twice(place, replicas=2)
    unharmed = await place.deploy("untouched", replicas=2)
    await live_well(place, lambda: place.is_settled(unharmed))
    await compare(place, harmed, unharmed)


@pytest.mark.parametrize("cut", MOMENTS)
async def test_an_update_survives_a_death_at_each_of_its_writes(place: Place, cut: Cut) -> None:
    harmed, unharmed = await place.deploy("harmed"), await place.deploy("untouched")

    async def both() -> bool:
        return await place.is_settled(harmed) and await place.is_settled(unharmed)

    await live_well(place, both)
    await place.edit(unharmed, runtime={"device": "cpu", "maxQueue": 7})
    await live_well(place, lambda: place.is_settled(unharmed))
    await place.edit(harmed, runtime={"device": "cpu", "maxQueue": 7})
    died = await live_and_die(place, cut, lambda: place.is_settled(harmed))
    assert died >= 5
    await assert_nothing_twice(place, replicas=2)
    await compare(place, harmed, unharmed)


@pytest.mark.parametrize("cut", MOMENTS)
async def test_a_scaling_survives_a_death_at_each_of_its_writes(place: Place, cut: Cut) -> None:
    harmed = await place.deploy("harmed")
    await live_well(place, lambda: place.is_settled(harmed))
    for replicas in (3, 1):
        await place.edit(harmed, replicas=replicas)

        async def is_scaled(count: int = replicas) -> bool:
            status = await place.status(harmed)
            return status.get("readyReplicas") == count and await place.is_settled(harmed)

        await live_and_die(place, cut, is_scaled)
        await assert_nothing_twice(place, replicas=replicas)


@pytest.mark.parametrize("cut", MOMENTS)
async def test_a_deletion_in_the_middle_of_a_creation_leaves_nothing(
    place: Place, cut: Cut
) -> None:
    key = await place.deploy("harmed")
    for _ in range(6):
        async with alive(place.configuration, settings_for(place.namespace), plan, cut=cut) as life:
            await eventually(life.api.is_cut.is_set)
        await place.expire_lease()
    await place.remove(LLM_DEPLOYMENT.path(*key))

    async def is_empty() -> bool:
        return not await place.children() and not await place.pods()

    async with alive(place.configuration, settings_for(place.namespace), plan):
        await eventually(is_empty, seconds=30)
