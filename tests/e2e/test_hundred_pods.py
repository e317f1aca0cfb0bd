"""A hundred pods of the real scheduler and ReplicaSets, on nodes that KWOK pretends."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from demo import autoscaling, story

from support.control_ports import SLOTS
from support.kwok import ONLY_PRETENDED, PretendedNodes, answering_pods, pretended_nodes
from support.operator_life import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(1200)]

WAIT_SECONDS = 240
PODS = 100
FEWER = 40


@pytest.fixture
def nodes(disposable: None, stage: story.Stage) -> Iterator[PretendedNodes]:
    with pretended_nodes(stage) as found:
        yield found
        story.remove(stage)
        pods = ("pods", "-n", stage.namespace, "-l", f"llm-operator.dev/deployment={stage.name}")
        stage.kubectl("wait", *pods, "--for=delete", "--timeout=120s")


def manifest(stage: story.Stage) -> str:
    """The six lines, on pretended nodes, for up to a hundred pods."""
    document: dict[str, Any] = yaml.safe_load(story.minimal(stage))
    document["spec"] |= {"scheduling": ONLY_PRETENDED, "autoscaling": {"maxReplicas": PODS}}
    return json.dumps(document)


def desired(stage: story.Stage) -> int:
    found = story.deployment(stage)["status"]["autoscaling"]["desiredReplicas"]
    return int(found)


def reason(stage: story.Stage, kind: str) -> str:
    return str(story.condition(story.deployment(stage), kind).get("reason"))


async def test_a_hundred_pods_wait_four_minutes_for_a_node_and_sixty_of_them_drain_to_leave(
    stage: story.Stage, nodes: PretendedNodes
) -> None:
    async def until(done: story.Done, seconds: float) -> None:
        await asyncio.to_thread(story.watch_until, stage, done, print, seconds)

    nodes.add(pods=1)
    stage.kubectl.apply(manifest(stage), "-n", stage.namespace)
    async with answering_pods(stage) as ports:
        await until(autoscaling.has_pods(1), 180)
        ports.load(SLOTS * PODS)
        await until(lambda found: found["spec"] and desired(stage) == PODS, 60)
        for _ in range(WAIT_SECONDS // 10):
            await asyncio.sleep(10)
            assert desired(stage) == PODS
        assert reason(stage, "CapacityAvailable") != "Scheduled"
        assert len(ports.ports) == 1
        nodes.add(pods=2 * PODS)
        await until(autoscaling.has_pods(PODS), 180)
        assert (ports.leaving(), ports.ended_busy) == ([], [])
        everyone = dict(ports.ports)
        ports.load(SLOTS)
        story.patch_spec(stage, {"autoscaling": {"maxReplicas": FEWER}})
        await until(autoscaling.has_pods(FEWER), 300)
        await eventually(lambda: len(ports.ports) == FEWER, seconds=30)
        drained = {name for name, port in everyone.items() if port.asked}
        assert drained == set(everyone) - set(ports.ports)
        assert ports.ended_busy == []
