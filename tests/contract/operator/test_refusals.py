"""What the API server does not take, the object says, in the server's own words."""

from typing import Any

import pytest

from llm_operator.reconcile.plan import plan
from support.operator_life import alive, eventually, settings_for
from support.place import Place

pytestmark = pytest.mark.timeout(120)

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "Service": ({"service": {"annotations": {"bad key!": "x"}}}, "Service demo"),
    "Deployment": ({"scheduling": {"nodeSelector": {"bad key!": "x"}}}, "Deployment demo-"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_child_that_is_invalid_is_named_with_the_servers_reason(
    place: Place, kind: str
) -> None:
    spec, child = REFUSED[kind]
    key = place.key("demo")

    async def is_told() -> bool:
        conditions = (await place.status(key)).get("conditions", ())
        ready: dict[str, str] = next((c for c in conditions if c["type"] == "Ready"), {})
        message = ready.get("message", "")
        return ready.get("reason") == "InvalidSpec" and child in message and "bad key!" in message

    async with alive(place.configuration, settings_for(place.namespace), plan):
        await place.deploy("demo", **spec)
        await eventually(is_told, seconds=60)


async def test_an_object_whose_spec_was_corrected_becomes_ready(place: Place) -> None:
    async with alive(place.configuration, settings_for(place.namespace), plan):
        key = await place.deploy("demo", service={"annotations": {"bad key!": "x"}})
        await eventually(lambda: _is_refused(place), seconds=60)
        await place.edit(key, service={"annotations": {"bad key!": None, "good": "x"}})
        await eventually(lambda: place.is_settled(key), seconds=60)


async def _is_refused(place: Place) -> bool:
    conditions = (await place.status(place.key("demo"))).get("conditions", ())
    return any(c["type"] == "Accepted" and c["status"] == "False" for c in conditions)
