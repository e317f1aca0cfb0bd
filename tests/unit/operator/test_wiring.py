"""What the watches of one process wake: an LLMDeployment runs for news, and not for heartbeats."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from kubernetes.aio.client.api_client import ApiClient

from llm_operator.kube.frames import EventType, WatchEvent
from llm_operator.kube.resources import GRPC_ROUTE, HORIZONTAL_POD_AUTOSCALER, NODE, POD
from llm_operator.kube.store import Key
from llm_operator.reconcile.reconcile import Planner
from llm_operator.settings import Settings
from llm_operator.wiring import Operator, assemble

pytestmark = pytest.mark.looptime

LLAMA = Key("n", "llama")
MANAGED = {"llm-operator.dev/deployment": "llama", "app.kubernetes.io/managed-by": "llm-operator"}
CORDON = {
    "key": "node.kubernetes.io/unschedulable",
    "effect": "NoSchedule",
    "timeAdded": "2027-01-01T00:00:00Z",
}
SETTINGS = Settings(
    namespace="llm-system",
    service_account="llm-operator",
    pod_name="llm-operator-0",
    runtime_image="runtime:1",
    exporter_image="exporter:1",
    registry="registry:5000",
    watch_nodes=True,
)


def an_operator() -> Operator:
    """One that talks to nobody: its watches are played by `tell`."""
    return assemble(SETTINGS, cast(ApiClient, None), cast(Planner, None))


def tell(
    operator: Operator, kind: str, manifest: Mapping[str, Any], what: EventType = "MODIFIED"
) -> None:
    """The API server sends this object to the first watch of its kind."""
    watch = next(w for w in operator.loop.watches if w.what.resource.kind == kind)
    watch._take(WatchEvent(what, dict(manifest)))


async def woken(operator: Operator) -> list[Key]:
    """Keys that runs are wanted for; none is wanted afterwards."""
    seen: list[Key] = []

    async def work(key: Key) -> None:
        seen.append(key)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await operator.loop.queue.run(work, workers=1)
    return seen


def a_node(version: int, *taints: Mapping[str, str], name: str = "node1") -> dict[str, Any]:
    beat = {"type": "Ready", "status": "True", "lastHeartbeatTime": f"2027-01-01T00:00:{version}Z"}
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": str(version)},
        "spec": {"taints": list(taints), "unschedulable": bool(taints)},
        "status": {"conditions": [beat]},
    }


def a_pod(version: int, node: str = "node1") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "llama-0",
            "namespace": "n",
            "uid": "p",
            "resourceVersion": str(version),
            "labels": MANAGED,
        },
        "spec": {"nodeName": node},
        "status": {"phase": "Running"},
    }


def an_autoscaler(version: int, target: str = "llama") -> dict[str, Any]:
    scaled = {"apiVersion": "llm-operator.dev/v1alpha1", "kind": "LLMDeployment", "name": target}
    return {
        "metadata": {"name": "h", "namespace": "n", "uid": "h", "resourceVersion": str(version)},
        "spec": {"scaleTargetRef": scaled},
        "status": {"lastScaleTime": f"2027-01-01T00:00:{version}Z"},
    }


async def an_operator_with_a_pod_on_a_node() -> Operator:
    operator = an_operator()
    tell(operator, NODE.kind, a_node(10), "ADDED")
    tell(operator, POD.kind, a_pod(11), "ADDED")
    assert await woken(operator) == [LLAMA]
    return operator


async def test_the_heartbeat_of_a_node_wakes_nobody() -> None:
    operator = await an_operator_with_a_pod_on_a_node()
    for version in range(12, 20):
        tell(operator, NODE.kind, a_node(version))
    assert await woken(operator) == []


async def test_a_cordon_and_its_end_wake_who_has_a_pod_there() -> None:
    operator = await an_operator_with_a_pod_on_a_node()
    tell(operator, NODE.kind, a_node(12))
    tell(operator, NODE.kind, a_node(13, CORDON))
    assert await woken(operator) == [LLAMA]
    tell(operator, NODE.kind, a_node(14, CORDON))
    assert await woken(operator) == []
    tell(operator, NODE.kind, a_node(15))
    assert await woken(operator) == [LLAMA]


async def test_a_cordon_elsewhere_wakes_nobody() -> None:
    operator = await an_operator_with_a_pod_on_a_node()
    tell(operator, NODE.kind, a_node(12, CORDON, name="node2"), "ADDED")
    assert await woken(operator) == []


async def test_a_taint_that_nobody_reads_wakes_nobody() -> None:
    """A cluster autoscaler takes its candidates for deletion back every few seconds."""
    operator = await an_operator_with_a_pod_on_a_node()
    candidate = {"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"}
    tell(operator, NODE.kind, a_node(12, candidate))
    assert await woken(operator) == []


async def test_a_node_that_leaves_wakes_who_has_a_pod_there() -> None:
    operator = await an_operator_with_a_pod_on_a_node()
    tell(operator, NODE.kind, a_node(12), "DELETED")
    assert await woken(operator) == [LLAMA]


async def test_the_status_of_another_autoscaler_wakes_nobody() -> None:
    operator = an_operator()
    tell(operator, HORIZONTAL_POD_AUTOSCALER.kind, an_autoscaler(10), "ADDED")
    assert await woken(operator) == [LLAMA]
    tell(operator, HORIZONTAL_POD_AUTOSCALER.kind, an_autoscaler(11))
    assert await woken(operator) == []
    tell(operator, HORIZONTAL_POD_AUTOSCALER.kind, an_autoscaler(12, "mistral"))
    assert sorted(await woken(operator)) == [LLAMA, Key("n", "mistral")]


def tell_known(operator: Operator, *, is_known: bool) -> None:
    """The API server knows GRPCRoute, or does not."""
    watch = next(w for w in operator.loop.watches if w.what.resource is GRPC_ROUTE)
    watch._heard(is_known=is_known)


async def test_a_kind_that_comes_or_goes_wakes_every_llmdeployment_once() -> None:
    operator = an_operator()
    operator.loop.roster.saw(LLAMA, "1")
    tell_known(operator, is_known=False)
    assert await woken(operator) == []
    for is_known in (True, False):
        tell_known(operator, is_known=is_known)
        assert await woken(operator) == [LLAMA]
        tell_known(operator, is_known=is_known)
        assert await woken(operator) == []


async def test_every_kind_but_those_that_may_be_missing_has_to_be_there() -> None:
    optional = {w.what.resource.kind for w in an_operator().loop.watches if w.known is not None}
    assert optional == {"GRPCRoute"}
