"""A hundred pods on a real API server, and a node that takes its time."""

import asyncio
from functools import partial

import pytest

from support.operator_life import eventually
from support.scaling_stage import Stage

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

WAIT_SECONDS = 240


async def test_a_hundred_pods_wait_for_a_node_that_comes_after_four_minutes(stage: Stage) -> None:
    async with stage.leader():
        key = await stage.deploy(1, autoscaling={"maxReplicas": 100})
        stage.place.kubelet.room = 1
        stage.ports.load(400)
        await eventually(partial(stage.has_replicas, 100), seconds=60)
        for _ in range(WAIT_SECONDS // 10):
            await asyncio.sleep(10)
            assert await stage.replicas() == 100
            assert await stage.reason("AutoscalingActive") in ("ScalingActive", "AtMaximum")
        assert await stage.reason("CapacityAvailable") == "Unschedulable"
        stage.place.kubelet.room = 1000
        await eventually(lambda: stage.place.is_settled(key), seconds=120)
        assert len(stage.ports.ports) == 100
        assert await stage.replicas() == 100
        assert (stage.ports.leaving(), stage.ports.ended_busy) == ([], [])
