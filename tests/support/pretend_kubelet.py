"""Plays the kubelets and the scheduler on an API server without nodes: pods of ours serve or end.

Only pods' statuses are written, as a kubelet would. Runtime pods become ready, export pods succeed
with the result that the contract asks of `llm-runtime job push`. With control ports, readiness is
what those say, as probes would find it.
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import ConflictError, NotFoundError
from llm_operator.kube.request import Selection, patch_status
from llm_operator.kube.resources import POD
from llm_operator.kube.store import Store
from llm_operator.kube.watch import Watch
from support.control_ports import ControlPorts
from support.worlds import DIGEST

LOOK_SECONDS = 0.1
COMPONENT = "app.kubernetes.io/component"
RESULT = {
    "step": "push",
    "ok": True,
    "resolvedRevision": "c0ffee",
    "key": "ab" * 32,
    "image": f"registry/llm-operator/artifacts@{DIGEST}",
    "digest": DIGEST,
    "sizeBytes": 5_000_000,
    "family": "llama",
    "precision": "fp32",
    "existed": False,
}


@dataclass(slots=True)
class PretendKubelet:
    """Runs the pods of one namespace, until cancelled."""

    client: KubeClient
    namespace: str
    store: Store = field(default_factory=Store)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_serving: bool = True
    """Whether runtime pods become ready."""
    ports: ControlPorts | None = None
    """Who answers for runtime pods."""
    refused: set[str] = field(default_factory=set)
    """Names of pods that no node takes."""

    async def run(self) -> None:
        what = Selection(POD, self.namespace, "app.kubernetes.io/managed-by=llm-operator")
        watch = Watch(self.client, what, self.store, lambda _: self.news.set())
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run())
            group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            with suppress(TimeoutError):  # nobody tells of ports that change
                async with asyncio.timeout(LOOK_SECONDS if self.ports else None):
                    await self.news.wait()
            self.news.clear()
            for pod in list(self.store._objects.values()):
                await self._advance(pod)
                await self._probe(pod)
            await self._end_ports()

    async def _advance(self, pod: Mapping[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        is_over = status.get("phase") in ("Succeeded", "Running") or "deletionTimestamp" in metadata
        is_export = metadata["labels"][COMPONENT] == "export"
        is_homeless = metadata["name"] in self.refused
        if is_over or (is_homeless and status.get("conditions")):
            return
        if is_homeless:
            waits = _condition("PodScheduled", is_true=False)
            await self._write(pod, {"phase": "Pending", "conditions": [waits]})
        elif is_export or self.is_serving:
            await self._write(pod, await self._status(pod, is_export=is_export))

    async def _status(self, pod: Mapping[str, Any], *, is_export: bool) -> Mapping[str, Any]:
        name = pod["metadata"]["name"]
        if is_export:
            return _succeeded()
        address = await self.ports.open(name) if self.ports is not None else None
        return {**_running(pod), **({"podIP": address} if address else {})}

    async def _probe(self, pod: Mapping[str, Any]) -> None:
        """Writes what the readiness of a pod's control port has become."""
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        port = self.ports.ports.get(name) if self.ports is not None else None
        ready = [c for c in status.get("conditions") or () if c["type"] == "Ready"]
        if port is None or not ready or (ready[0]["status"] == "True") is not port.is_leaving:
            return
        is_ready = not port.is_leaving
        condition = _condition("Ready", is_true=is_ready)
        await self._write(pod, {"conditions": [_condition("PodScheduled"), condition]})

    async def _end_ports(self) -> None:
        if self.ports is None:
            return
        there = {key.name for key in self.store._objects}
        for name in set(self.ports.ports) - there:
            await self.ports.end(name)

    async def _write(self, pod: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        metadata, body = pod["metadata"], {"status": status}
        request = patch_status(POD, metadata["namespace"], metadata["name"], body)
        with suppress(NotFoundError, ConflictError):  # it has gone meanwhile
            self.store.put(await self.client.send(request))

    def names(self) -> set[str]:
        return {key.name for key in self.store._objects}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, *, is_true: bool = True) -> dict[str, str]:
    return {"type": kind, "status": str(is_true), "lastTransitionTime": _now()}


def _running(pod: Mapping[str, Any]) -> dict[str, Any]:
    names = [container["name"] for container in pod["spec"]["containers"]]
    running = {"running": {"startedAt": _now()}}
    return {
        "phase": "Running",
        "startTime": _now(),
        "conditions": [_condition("PodScheduled"), _condition("Ready")],
        "containerStatuses": [
            {
                "name": name,
                "ready": True,
                "started": True,
                "restartCount": 0,
                "image": "i",
                "imageID": "i",
                "state": running,
            }
            for name in names
        ],
    }


def _succeeded() -> dict[str, Any]:
    ended = {"exitCode": 0, "reason": "Completed", "message": json.dumps(RESULT)}
    return {
        "phase": "Succeeded",
        "startTime": _now(),
        "containerStatuses": [
            {
                "name": "push",
                "ready": False,
                "restartCount": 0,
                "image": "i",
                "imageID": "i",
                "state": {"terminated": {**ended, "startedAt": _now(), "finishedAt": _now()}},
            }
        ],
    }
