"""The operator scales on a real API server with Kubernetes' own controllers; pods answer on real
control ports. Faults come one at a time: none scales the wrong way, nobody is cut off."""

import asyncio
from functools import partial
from typing import Any

import pytest

from llm_operator.kube.request import Selection
from llm_operator.kube.resources import HORIZONTAL_POD_AUTOSCALER, LLM_DEPLOYMENT, NEWS, POD
from llm_operator.kube.store import Key
from support.control_ports import ControlPort
from support.operator_life import Life, eventually
from support.scaling_stage import Stage

pytestmark = pytest.mark.timeout(180)

QUICK = {"maxReplicas": 6, "stableWindowSeconds": 5}
QUICK_DOWN = {**QUICK, "scaleDown": {"stabilizationWindowSeconds": 0}}


async def draining(stage: Stage) -> tuple[Key, ControlPort]:
    """Three busy pods of which one drains; two are wanted."""
    key = await stage.deploy(3)
    stage.busy()
    await stage.place.edit(key, replicas=2)
    await eventually(lambda: len(stage.ports.leaving()) == 1)
    return key, stage.victim()


async def seconds_pass(stage: Stage, life: Life, runs: int = 3) -> None:
    """Returns after so many further runs that found nothing to do."""
    before = life.reconciles
    while life.reconciles < before + runs:
        for port in stage.ports.ports.values():
            port.tell()
        life.operator.loop.queue.add(stage.place.key("demo"))
        await asyncio.sleep(0.1)


async def test_a_victim_finishes_before_it_goes_and_comes_back_when_it_is_wanted(
    stage: Stage,
) -> None:
    async with stage.leader() as life:
        key, victim = await draining(stage)
        before = set(stage.ports.ports)
        await seconds_pass(stage, life)
        assert await stage.replicas() == 3
        await stage.place.edit(key, replicas=3)
        await eventually(lambda: not victim.is_leaving)
        await eventually(lambda: stage.place.is_settled(key))
        assert set(stage.ports.ports) == before
        await stage.place.edit(key, replicas=2)
        await eventually(lambda: len(stage.ports.leaving()) == 1)
        victim = stage.victim()
        victim.cut_off = 1
        victim.work(0)
        await eventually(lambda: victim not in stage.ports.ports.values())
        await eventually(lambda: stage.place.is_settled(key))
        assert len(stage.ports.ports) == 2
        assert stage.ports.ended_busy == []
        told = await stage.told("DrainTimedOut")
        assert "1 request that still ran" in told


async def test_a_new_leader_goes_on_with_the_drain_that_it_finds(stage: Stage) -> None:
    async with stage.leader():
        key, victim = await draining(stage)
        name = stage.ports.leaving()[0]
    await stage.place.expire_lease()
    async with stage.leader() as life:
        await eventually(lambda: all(port.watchers for port in stage.ports.ports.values()))
        await seconds_pass(stage, life)
        assert stage.ports.leaving() == [name]
        assert await stage.replicas() == 3
        victim.work(0)
        await eventually(lambda: name not in stage.ports.ports)
        await eventually(lambda: stage.place.is_settled(key))
    assert (len(stage.ports.ports), stage.ports.ended_busy) == (2, [])


async def test_a_victim_whose_process_is_gone_is_the_pod_that_goes(stage: Stage) -> None:
    async with stage.leader():
        key, victim = await draining(stage)
        others = {name for name, port in stage.ports.ports.items() if port is not victim}
        await victim.close()  # its node is lost: not ready, and nothing is heard of it
        await eventually(lambda: set(stage.ports.ports) == others, seconds=30)
        await eventually(lambda: stage.place.is_settled(key))
        assert stage.ports.leaving() == []


async def test_a_victim_whose_sibling_was_taken_comes_back(stage: Stage) -> None:
    async with stage.leader():
        key, victim = await draining(stage)
        stage.place.kubelet.is_serving = False
        taken = next(name for name, port in stage.ports.ports.items() if port is not victim)
        await stage.place.remove(POD.path(stage.place.namespace, taken))
        await eventually(lambda: not victim.is_leaving)
        await eventually(partial(stage.has_replicas, 2))
        await eventually(lambda: stage.place.is_settled(key))
        assert victim in stage.ports.ports.values()


async def test_a_sibling_that_only_starts_goes_before_anybody_drains(stage: Stage) -> None:
    async with stage.leader():
        key = await stage.deploy(2)
        stage.busy()
        before = set(stage.ports.ports)
        stage.place.kubelet.is_serving = False
        await stage.place.edit(key, replicas=4)
        await eventually(partial(stage.has_replicas, 4))
        await stage.place.edit(key, replicas=2)
        await eventually(partial(stage.has_replicas, 2))
        await eventually(lambda: stage.place.is_settled(key))
        assert set(stage.ports.ports) == before
        assert [port.asked for port in stage.ports.ports.values()] == [[], []]


async def test_a_deletion_in_mid_drain_leaves_nothing_and_nobody_listening(stage: Stage) -> None:
    async with stage.leader():
        key, victim = await draining(stage)
        asked = list(victim.asked)
        await stage.place.remove(LLM_DEPLOYMENT.path(*key))

        async def is_empty() -> bool:
            return not await stage.place.children() and not await stage.place.pods()

        await eventually(is_empty, seconds=60)
        await eventually(lambda: not victim.watchers)
        assert victim.asked == asked


async def test_a_burst_goes_on_under_the_next_leader_and_lies_and_silence_scale_nothing(
    stage: Stage,
) -> None:
    async with stage.leader():
        key = await stage.deploy(1, autoscaling=QUICK_DOWN)
        stage.ports.load(16)
        await eventually(partial(stage.has_replicas, 5))
    await stage.place.expire_lease()
    async with stage.leader() as life:
        await eventually(lambda: stage.place.is_settled(key), seconds=40)
        await eventually(lambda: all(port.watchers for port in stage.ports.ports.values()))
        liar = next(iter(stage.ports.ports.values()))
        liar.lies = {"running_requests": 2**32 - 1, "step_seconds": float("nan")}
        liar.tell()
        await seconds_pass(stage, life)
        assert await stage.replicas() == 5
        for port in stage.ports.ports.values():
            await port.close()
        await eventually(partial(stage.is_told, "AutoscalingActive", "MetricsUnavailable"))
        await seconds_pass(stage, life)
        assert await stage.replicas() == 5
    assert (stage.ports.leaving(), stage.ports.ended_busy) == ([], [])
    ups = await stage.events("ScaledUp")
    assert all(told.startswith("Scaled from ") for told in ups)


async def test_of_two_operators_one_scales_and_the_other_goes_on_from_there(stage: Stage) -> None:
    async with stage.leader() as first:
        key = await stage.deploy(1, autoscaling=QUICK)
        async with stage.leader() as second:
            stage.ports.load(9)
            await eventually(partial(stage.has_replicas, 3))
            await eventually(lambda: stage.place.is_settled(key))
            assert second.api.writes == []
            first.api.is_cut.set()  # it thinks that it leads, and reaches nobody
            await stage.place.expire_lease()
            await eventually(lambda: second.operator.loop.lease.is_held, seconds=30)
            stage.ports.load(16)
            await eventually(partial(stage.has_replicas, 5), seconds=30)
    assert stage.ports.leaving() == []


async def test_a_cluster_autoscaler_that_says_no_stops_raises_at_once(stage: Stage) -> None:
    async with stage.leader():
        key = await stage.deploy(1, autoscaling=QUICK)
        first = set(stage.ports.ports)
        stage.place.kubelet.is_serving = False
        stage.ports.load(6)
        await eventually(partial(stage.has_replicas, 2))
        pod = await waiting_pod(stage, first)
        await refuse(stage, pod)
        stage.place.kubelet.refused.add(pod["metadata"]["name"])
        stage.place.kubelet.news.set()
        await eventually(partial(stage.is_told, "CapacityAvailable", "Unschedulable"))
        stage.ports.load(16)
        await eventually(partial(stage.is_told, "AutoscalingActive", "CapacityLimited"))
        assert await stage.replicas() == 2
        told = await stage.told("AutoscalingLimited")
        assert "the cluster autoscaler refuses" in told
        assert (await stage.place.status(key))["autoscaling"]["desiredReplicas"] == 2


async def waiting_pod(stage: Stage, known: set[str]) -> dict[str, Any]:
    labels = "app.kubernetes.io/component=runtime"
    while True:
        found = await stage.place.admin.list(Selection(POD, stage.place.namespace, labels))
        new = [pod for pod in found.items if pod["metadata"]["name"] not in known]
        if new:
            return dict(new[0])
        await asyncio.sleep(0.05)


async def refuse(stage: Stage, pod: dict[str, Any]) -> None:
    """What the cluster autoscaler writes."""
    await stage.place.post(
        NEWS.path(stage.place.namespace),
        {
            "apiVersion": NEWS.api_version,
            "kind": NEWS.kind,
            "metadata": {"name": "no-scale-up", "namespace": stage.place.namespace},
            "involvedObject": {
                "kind": "Pod",
                "namespace": stage.place.namespace,
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
            },
            "reason": "NotTriggerScaleUp",
            "message": "pod didn't trigger scale-up: 1 max node group size reached",
            "source": {"component": "cluster-autoscaler"},
            "type": "Normal",
            "lastTimestamp": "2027-01-01T12:00:00Z",
        },
    )


async def test_a_quota_stops_raises_at_once(stage: Stage) -> None:
    async with stage.leader():
        await stage.deploy(1, autoscaling=QUICK)
        await allow_pods(stage, 2)  # the export's pod is one
        stage.ports.load(6)
        await eventually(partial(stage.is_told, "CapacityAvailable", "QuotaExceeded"))
        wanted = await stage.replicas()
        stage.ports.load(20)
        await eventually(partial(stage.is_told, "AutoscalingActive", "CapacityLimited"))
        assert await stage.replicas() == wanted


async def allow_pods(stage: Stage, count: int) -> None:
    """A ResourceQuota, counted as its controller would."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": stage.place.namespace},
        "spec": {"hard": {"pods": str(count)}},
    }
    path = f"/api/v1/namespaces/{stage.place.namespace}/resourcequotas"
    await stage.place.post(path, quota)
    counted = {"status": {"hard": {"pods": str(count)}, "used": {"pods": str(count)}}}
    await stage.place.merge(f"{path}/few/status", counted)


async def test_an_hpa_on_an_object_that_scales_itself_is_told_and_on_another_one_is_not(
    stage: Stage,
) -> None:
    async with stage.leader():
        key = await stage.deploy(1)
        path = HORIZONTAL_POD_AUTOSCALER.path(key.namespace)
        await stage.place.post(path, autoscaler_of(key))
        await stage.place.merge(f"{LLM_DEPLOYMENT.path(*key)}/scale", {"spec": {"replicas": 2}})
        await eventually(partial(stage.has_replicas, 2))
        assert await stage.reason("AutoscalingActive") == ""
        await stage.place.edit(key, autoscaling=QUICK)
        await eventually(partial(stage.is_told, "AutoscalingActive", "AutoscalerConflict"))
        told = await stage.told("ConflictDetected")
        assert "HorizontalPodAutoscaler keda-hpa-demo" in told
        await stage.place.remove(f"{path}/keda-hpa-demo")
        await eventually(partial(stage.is_told, "AutoscalingActive", "ScalingActive"))


def autoscaler_of(key: Key) -> dict[str, Any]:
    """What KEDA makes of a ScaledObject, or a user writes."""
    target = {"apiVersion": LLM_DEPLOYMENT.api_version, "kind": LLM_DEPLOYMENT.kind}
    return {
        "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
        "kind": HORIZONTAL_POD_AUTOSCALER.kind,
        "metadata": {"name": "keda-hpa-demo", "namespace": key.namespace},
        "spec": {"maxReplicas": 9, "scaleTargetRef": {**target, "name": key.name}},
    }
