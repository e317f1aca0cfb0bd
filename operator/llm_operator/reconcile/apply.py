"""Writes only: does a Plan, in its order; the first failure ends the run.

There is no roll-back: a kill between any two writes is healed because the next run starts from
what is there. Each answer goes into the stores at once, so that the next run sees it whatever the
watch does.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError
from llm_operator.kube.events import EventRecorder, News
from llm_operator.kube.request import Doomed
from llm_operator.kube.resources import BY_KIND, LLM_DEPLOYMENT
from llm_operator.kube.store import Key
from llm_operator.reconcile.actions import Apply, Delete, Event, Plan, Write
from llm_operator.reconcile.observe import Caches

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Applier:
    """Does Plans."""

    client: KubeClient
    caches: Caches
    recorder: EventRecorder

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
                doomed = Doomed(BY_KIND[write.kind], write.namespace, write.name, write.uid)
                await self.client.delete(doomed, write.propagation)
                if write.propagation == "Background":
                    name = Key(write.namespace, write.name)
                    self.caches.stores[write.kind].expect_gone(name, write.uid)
                logger.info("Deleted", extra={"kind": write.kind, "object": write.name})

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
    if isinstance(write, Delete):
        return f"{write.kind} {write.name}"
    return f"{write.manifest['kind']} {write.manifest['metadata']['name']}"


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
