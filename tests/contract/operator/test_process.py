"""The operator as a process of its own: start, leadership, hand-over, end."""

import json
import signal
import time
from pathlib import Path

import pytest

from llm_operator.kube.request import Selection
from llm_operator.kube.resources import BY_KIND, LEASE, LLM_DEPLOYMENT
from support.api_server import ApiServer
from support.operator_life import eventually
from support.operator_process import running_operator
from support.place import Place

pytestmark = pytest.mark.timeout(180)

LEASE_SECONDS = 3.0


def serving(place: Place) -> dict[str, str]:
    return {"NAMESPACE": place.namespace, "WATCH_NAMESPACES": place.namespace}


async def test_an_applied_object_becomes_ready_and_gets_nothing_of_ours_but_a_status(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with running_operator(server.kubeconfig, tmp_path / "log", **serving(place)) as operator:
        await eventually(operator.is_ready)
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        found = await place.admin.get(LLM_DEPLOYMENT, *key)
        assert found is not None
        assert "finalizers" not in found["metadata"]
        assert "annotations" not in found["metadata"]
        managers = {
            (f["manager"], f.get("subresource")) for f in found["metadata"]["managedFields"]
        }
        assert ("llm-operator", None) not in managers
        assert await operator.stop() == 0


async def test_a_stopped_operator_gives_the_lease_back(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with running_operator(server.kubeconfig, tmp_path / "log", **serving(place)) as operator:
        await eventually(operator.is_ready)
        await eventually(operator.is_leading)
        assert await operator.stop() == 0
    lease = await place.admin.get(LEASE, place.namespace, "llm-operator")
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


async def test_a_replica_that_does_not_lead_is_ready_and_writes_nothing(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with running_operator(server.kubeconfig, tmp_path / "a", **serving(place)) as first:
        await eventually(first.is_ready)
        await eventually(first.is_leading)
        with running_operator(server.kubeconfig, tmp_path / "b", **serving(place)) as second:
            await eventually(second.is_ready)
            key = await place.deploy("demo")
            await eventually(lambda: place.is_settled(key))
            assert await second.writes() == 0
            assert not await second.is_leading()


async def test_a_killed_leader_is_followed_by_the_other_replica(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with (
        running_operator(server.kubeconfig, tmp_path / "a", **serving(place)) as first,
        running_operator(server.kubeconfig, tmp_path / "b", **serving(place)) as second,
    ):
        await eventually(first.is_ready)
        await eventually(second.is_ready)
        leader, other = (first, second) if await first.is_leading() else (second, first)
        await eventually(leader.is_leading)
        leader.process.kill()
        died = time.monotonic()
        await eventually(other.is_leading, seconds=20)
        assert time.monotonic() - died <= LEASE_SECONDS + 5
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))


async def test_a_leader_that_wakes_after_its_lease_has_ended_writes_nothing(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with (
        running_operator(server.kubeconfig, tmp_path / "a", **serving(place)) as first,
        running_operator(server.kubeconfig, tmp_path / "b", **serving(place)) as second,
    ):
        await eventually(first.is_ready)
        await eventually(second.is_ready)
        leader, other = (first, second) if await first.is_leading() else (second, first)
        await eventually(leader.is_leading)
        before = await leader.writes()
        leader.process.send_signal(signal.SIGSTOP)
        await eventually(other.is_leading, seconds=20)
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        leader.process.send_signal(signal.SIGCONT)
        await eventually(leader.is_ready)
        await place.edit(key, replicas=2)

        async def is_scaled() -> bool:
            return (await place.status(key)).get("readyReplicas") == 2

        await eventually(is_scaled)
        assert await leader.writes() == before
        assert await other.is_leading()


async def test_a_setting_that_is_missing_is_named_at_once(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    environ = {**serving(place), "REGISTRY": ""}
    with running_operator(server.kubeconfig, log, **environ) as operator:
        assert operator.process.wait(20) == 2
    assert log.read_text() == "llm-operator: LLM_OPERATOR_REGISTRY is not set: give it a value\n"


async def test_every_line_of_the_log_is_json(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running_operator(server.kubeconfig, log, **serving(place)) as operator:
        await eventually(operator.is_ready)
        key = await place.deploy("demo")
        await eventually(lambda: place.is_settled(key))
        await operator.stop()
    lines = log.read_text().splitlines()
    assert lines
    assert {json.loads(line)["level"] for line in lines} == {"INFO"}


async def test_the_process_stays_below_its_memory_limit(
    place: Place, server: ApiServer, tmp_path: Path
) -> None:
    with running_operator(server.kubeconfig, tmp_path / "log", **serving(place)) as operator:
        await eventually(operator.is_ready)
        for number in range(20):
            await place.deploy(f"demo-{number}")
        what = Selection(BY_KIND["PodDisruptionBudget"], place.namespace)

        async def are_there() -> bool:
            return len((await place.admin.list(what)).items) == 20

        await eventually(are_there, seconds=60)
        assert operator.resident_mib <= 120
