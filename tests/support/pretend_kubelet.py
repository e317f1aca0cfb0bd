"""Plays the kubelets and the scheduler on an API server without nodes: pods of ours serve or end.

Only pods' statuses are written, as a kubelet would. Runtime pods become ready, export pods succeed
with the result that the contract asks of `llm-runtime job push`.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from llm_operator.kube.client import KubeClient
from llm_operator.kube.request import Selection, patch_status
from llm_operator.kube.resources import POD
from llm_operator.kube.store import Store
from llm_operator.kube.watch import Watch
from support.worlds import DIGEST

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

    async def run(self) -> None:
        what = Selection(POD, self.namespace, "app.kubernetes.io/managed-by=llm-operator")
        watch = Watch(self.client, what, self.store, lambda _: self.news.set())
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run())
            group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            for pod in list(self.store._objects.values()):
                await self._advance(pod)

    async def _advance(self, pod: Mapping[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status") or {}
        is_over = status.get("phase") in ("Succeeded", "Running") or "deletionTimestamp" in metadata
        is_export = metadata["labels"][COMPONENT] == "export"
        if is_over or not (is_export or self.is_serving):
            return
        body = {"status": _succeeded() if is_export else _running(pod)}
        request = patch_status(POD, metadata["namespace"], metadata["name"], body)
        answer = await self.client.send(request)
        self.store.put(answer)

    def names(self) -> set[str]:
        return {key.name for key in self.store._objects}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": _now()}


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
