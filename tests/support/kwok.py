"""Nodes that KWOK pretends, and control ports that answer for the pods on them.

Scheduler, controllers and operator are the cluster's real ones; KWOK plays the kubelet. Its pods'
addresses lead to this machine, where a control port listens for each pod that runs. KWOK knows no
probes: that a pod which drains is not ready any more is written here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

from demo.story import Stage, is_pod_ready, runtime_pods

from llm_cluster.progress import Progress
from llm_cluster.record import Options
from llm_cluster.site import open_site
from llm_cluster.up import up
from support.control_ports import ControlPorts, control_ports

NODE_LABEL = {"llm-operator.dev/pretended": "true"}
ANNOTATION = {"kwok.x-k8s.io/node": "fake"}
TAINT = {"key": "llm-operator.dev/pretended", "value": "true", "effect": "NoSchedule"}
ONLY_PRETENDED = {
    "nodeSelector": NODE_LABEL,
    "tolerations": [{"key": TAINT["key"], "operator": "Exists"}],
}
"""`spec.scheduling` of a deployment whose pods run nowhere else."""


@contextmanager
def pretended_nodes(stage: Stage) -> Iterator["PretendedNodes"]:
    """KWOK runs; its nodes are gone after the block, and so must their pods be."""
    up(open_site(Progress()), Options(kwok=True))
    nodes = PretendedNodes(stage)
    try:
        yield nodes
    finally:
        nodes.remove()


class PretendedNodes:
    """Nodes that come when the test says so."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._names: list[str] = []

    def add(self, pods: int) -> None:
        """A node with room for so many pods."""
        name = f"pretended-{uuid4().hex[:8]}"
        self._names.append(name)
        room = {"cpu": "1000", "memory": "4Ti", "pods": str(pods)}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": NODE_LABEL, "annotations": ANNOTATION},
            "spec": {"taints": [TAINT]},
            "status": {"capacity": room, "allocatable": room},
        }
        self._stage.kubectl("create", "-f", "-", stdin=json.dumps(node))

    def remove(self) -> None:
        """Takes all of them away."""
        self._stage.kubectl("delete", "node", "--ignore-not-found", *self._names)


@asynccontextmanager
async def answering_pods(stage: Stage) -> AsyncIterator[ControlPorts]:
    """Control ports for the runtime pods of the stage's deployment, as they come and go."""
    async with control_ports() as ports:
        following = asyncio.create_task(_follow(stage, ports))
        try:
            yield ports
        finally:
            following.cancel()
            await asyncio.wait({following})


async def _follow(stage: Stage, ports: ControlPorts) -> None:
    while True:
        running = await asyncio.to_thread(_running, stage)
        for name in set(ports.ports) - set(running):
            await ports.end(name)
        for name in set(running) - set(ports.ports):
            await ports.open(name, running[name]["status"]["podIP"])
        leaving = [name for name in ports.leaving() if is_pod_ready(running.get(name, {}))]
        if leaving:
            await asyncio.to_thread(_make_unready, stage, leaving)
        await asyncio.sleep(1)


def _running(stage: Stage) -> dict[str, dict[str, Any]]:
    """The pods that KWOK runs, by name."""
    return {
        pod["metadata"]["name"]: pod
        for pod in runtime_pods(stage)
        if pod["status"].get("phase") == "Running" and pod["status"].get("podIP")
    }


def _make_unready(stage: Stage, names: list[str]) -> None:
    patch = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    stage.kubectl(
        "patch", "-n", stage.namespace, "pod", *names, "--subresource=status", "-p", patch
    )
