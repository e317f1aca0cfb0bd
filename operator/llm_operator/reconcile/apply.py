"""Writes only: does a Plan, in its order; the first failure ends the run.

There is no roll-back: a kill between any two writes is healed because the next run starts from
what is there. Each answer goes into the stores at once, so that the next run sees it whatever the
watch does.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_operator.control.drain import DrainClient
from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import ConflictError, KubeError, NotFoundError
from llm_operator.kube.events import EventRecorder, News
from llm_operator.kube.request import Doomed
from llm_operator.kube.resources import BY_KIND, LLM_DEPLOYMENT, POD
from llm_operator.kube.store import Key
from llm_operator.reconcile.actions import (
    Apply,
    Cost,
    Delete,
    Drain,
    Event,
    Plan,
    Undrain,
    Write,
)
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.pods import DELETION_COST

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Applier:
    """Does Plans."""

    client: KubeClient
    caches: Caches
    recorder: EventRecorder
    drains: DrainClient

    async def apply(self, key: Key, uid: str, plan: Plan) -> None:
        """Writes, then the status, then the events. Raises the first KubeError of the first two."""
        for done, write in enumerate(plan.writes):
            try:
                await self._write(write)
            except KubeError as error:
                error.made_progress, error.about = done > 0, _name_of(write)
                raise
        if plan.status is not None:
            await self.report(key, plan.status)
        await self._tell(key, uid, plan.events)

    async def report(self, key: Key, body: Mapping[str, Any]) -> None:
        """Patches the status. Raises KubeError."""
        await self.client.send(requests.patch_status(LLM_DEPLOYMENT, *key, body))

    async def _write(self, write: Write) -> None:
        match write:
            case Apply(manifest, uid):
                answer = await self.client.apply(manifest, uid=uid)
                self.caches.stores[manifest["kind"]].put(answer)
                _log("Created" if uid is None else "Repaired", answer)
            case Delete():
                await self._delete(write)
            case _:
                await self._write_pod(write)

    async def _delete(self, write: Delete) -> None:
        doomed = Doomed(BY_KIND[write.kind], write.namespace, write.name, write.uid)
        await self.client.delete(doomed, write.propagation)
        if write.propagation == "Background":
            name = Key(write.namespace, write.name)
            self.caches.stores[write.kind].expect_gone(name, write.uid)
        logger.info("Deleted", extra={"kind": write.kind, "object": write.name})

    async def _write_pod(self, write: Cost | Drain | Undrain) -> None:
        match write:
            case Cost():
                await self._set_cost(write)
            case Drain(pod, address, timeout):
                if await self.drains.drain(address, timeout):
                    logger.info("Draining", extra={"pod": pod, "timeout_seconds": timeout})
            case Undrain(pod, address):
                if await self.drains.undrain(address):
                    logger.info("Took a drain back", extra={"pod": pod})

    async def _set_cost(self, write: Cost) -> None:
        """A pod that has gone or was replaced meanwhile has no cost any more."""
        value = str(write.cost) if write.cost else None
        body = {"metadata": {"uid": write.uid, "annotations": {DELETION_COST: value}}}
        try:
            answer = await self.client.send(requests.merge(POD, write.namespace, write.pod, body))
        except (NotFoundError, ConflictError):
            return
        self.caches.stores[POD.kind].put({**answer, "apiVersion": "v1", "kind": POD.kind})

    async def _tell(self, key: Key, uid: str, events: Sequence[Event]) -> None:
        regarding = {
            "apiVersion": LLM_DEPLOYMENT.api_version,
            "kind": LLM_DEPLOYMENT.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
        }
        for event in events:
            news = News(event.type, event.reason, event.message, event.action)
            await self.recorder.tell(regarding, news)


def _name_of(write: Write) -> str:
    match write:
        case Apply(manifest):
            return f"{manifest['kind']} {manifest['metadata']['name']}"
        case Delete(kind=kind, name=name):
            return f"{kind} {name}"
        case Cost(pod=pod) | Drain(pod=pod) | Undrain(pod=pod):
            return f"Pod {pod}"


def _log(what: str, manifest: Mapping[str, Any]) -> None:
    metadata = manifest["metadata"]
    logger.info(
        what,
        extra={
            "kind": manifest["kind"],
            "object": metadata["name"],
            "namespace": metadata["namespace"],
        },
    )
