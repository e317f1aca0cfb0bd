"""A node that goes without a word, as in a power cut, and takes a draining pod with it."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from demo import story

from llm_client import LLMError, Options, connect
from llm_cluster import faults
from llm_cluster.layout import node_named
from llm_cluster.site import Site
from support.local_cluster import site
from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

__all__ = ["site"]

LONG = Options(max_new_tokens=400, ignore_eos=True)
"""Many seconds, where a pod has a tenth of a CPU and runs sixteen of them."""


@pytest.fixture
def spread(stage: story.Stage) -> story.Stage:
    """An LLMDeployment with a slow pod on each of the two nodes."""
    story.remove(stage)  # a killed run may have left it
    text = story.minimal(stage)
    slow = text.replace("cpu: 500m", "cpu: 100m")
    assert slow != text
    stage.kubectl.apply(slow, "-n", stage.namespace)
    story.scale(stage, 2)
    story.watch_until(stage, story.is_scaled(2), print, 240)
    return stage


@pytest.fixture
def other_node(site: Site, spread: story.Stage) -> Iterator[str]:
    """The node without the leader; it is given back, with all that ran on it, when lost."""
    system = ("-n", story.SYSTEM_NAMESPACE)
    lease = spread.kubectl.get("lease", "llm-operator", *system)
    leader = spread.kubectl.get("pod", lease["spec"]["holderIdentity"].partition("_")[0], *system)
    (node,) = set(story.serving_nodes(spread)) - {leader["spec"]["nodeName"]}
    yield node
    faults.restore(site.layout, node_named(site.layout, node))
    spread.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
    for deployment in spread.kubectl("get", "deployments", *system, "-o", "name").split():
        spread.kubectl("rollout", "status", deployment, *system, "--timeout=180s")
    pods = ("pod/hub", "pod/client", "-n", spread.namespace)
    spread.kubectl("wait", *pods, "--for=condition=Ready", "--timeout=180s")


@pytest.mark.usefixtures("disposable")
async def test_a_victim_that_its_node_takes_along_costs_no_pod_that_serves(
    site: Site, spread: story.Stage, other_node: str
) -> None:
    """The pod on the other node has the least to do and drains when two become one. Then its node
    goes. The pod that stays answers everything, and no third one is ever made."""
    by_node = {pod["spec"]["nodeName"]: pod for pod in story.runtime_pods(spread)}
    victim = by_node.pop(other_node)
    (stays,) = by_node.values()
    known = {pod["metadata"]["uid"] for pod in (victim, stays)}
    async with asks(stays, 24) as kept, asks(victim, 16) as doomed:
        await asyncio.to_thread(story.scale, spread, 1)
        await asyncio.to_thread(
            until, lambda: is_leaving(spread, victim), seconds=60, what="the victim to drain"
        )
        assert not any(task.done() for task in doomed)
        await asyncio.to_thread(faults.lose, site.layout, node_named(site.layout, other_node))
        answers = await asyncio.gather(*kept)
        ends = await asyncio.gather(*doomed, return_exceptions=True)
    assert all(len(answer.token_ids) == LONG.max_new_tokens for answer in answers)
    assert all(isinstance(end, LLMError) for end in ends)
    seen: set[str] = set()

    def is_settled() -> bool:
        seen.update(pod["metadata"]["uid"] for pod in story.runtime_pods(spread))
        return story.is_scaled(1)(story.deployment(spread))

    await asyncio.to_thread(until, is_settled, seconds=240, what="one pod to be all there is")
    assert seen <= known
    survivors = [pod for pod in story.runtime_pods(spread) if story.is_pod_ready(pod)]
    assert [pod["metadata"]["uid"] for pod in survivors] == [stays["metadata"]["uid"]]


@asynccontextmanager
async def asks(pod: dict[str, Any], number: int) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """So many long answers from one pod, which has them all when the block begins."""
    address = pod["status"]["podIP"]
    async with connect(f"{address}:50051") as client:
        calls = [client.generate([5] * 16, LONG, timeout=150) for _ in range(number)]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.to_thread(
            until, lambda: work_of(address) == number, seconds=60, what="the requests to arrive"
        )
        yield tasks


def work_of(address: str) -> float:
    """Requests that the pod has."""
    with urllib.request.urlopen(f"http://{address}:9090/metrics", timeout=10) as page:
        lines = [line.split() for line in page.read().decode().splitlines()]
    named = ("llm_requests_running", "llm_requests_waiting")
    return sum(float(line[1]) for line in lines if line and line[0] in named)


def is_leaving(stage: story.Stage, pod: dict[str, Any]) -> bool:
    """Whether the pod gets no new calls."""
    return not story.is_pod_ready(
        stage.kubectl.get("pod", pod["metadata"]["name"], "-n", stage.namespace)
    )
