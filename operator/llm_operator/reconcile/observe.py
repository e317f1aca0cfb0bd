"""Reads only: everything about one LLMDeployment, as a frozen World.

The LLMDeployment itself is read from the API server, one call a run, so that a decision is never
taken on one that has changed or gone. Its children and pods come from the stores that the watches
keep.
"""

import asyncio
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from llm_operator.api.llmdeployment import parse_llmdeployment
from llm_operator.control.authority import Authority
from llm_operator.control.progress import ProgressClient
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import ForbiddenError
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import BY_KIND, GRPC_ROUTE, LLM_DEPLOYMENT, NEWS
from llm_operator.kube.store import DEPLOYMENT_LABEL, Key
from llm_operator.reconcile import cluster_autoscaler
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.pods import unschedulable_message
from llm_operator.reconcile.scaling import Scaling
from llm_operator.reconcile.sharing import Sharing
from llm_operator.reconcile.world import (
    ControlAuthority,
    ExportProgress,
    Manifest,
    OperatorSettings,
    World,
)

COMPONENT_LABEL = "app.kubernetes.io/component"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Observer:
    """Builds Worlds. `clock` gives an aware UTC time."""

    client: KubeClient
    caches: Caches
    settings: OperatorSettings
    authority: Authority
    progress: ProgressClient
    scaling: Scaling
    sharing: Sharing
    clock: Callable[[], datetime] = utc_now

    async def observe(self, key: Key) -> World | None:
        """The World of this LLMDeployment; None when there is none."""
        manifest = await self.client.get(LLM_DEPLOYMENT, key.namespace, key.name)
        if manifest is None:
            self.scaling.leave(key)
            self.sharing.leave(key)
            return None
        pods = self.caches.pods(key)
        authority, progress = await asyncio.gather(
            self.authority.known(), self._export_progress(pods)
        )
        world = World(
            now=self.clock(),
            deployment=parse_llmdeployment(manifest),
            settings=self.settings,
            children=self.caches.children(key),
            pods=pods,
            export_progress=progress,
            control_authority=ControlAuthority(*authority) if authority else None,
            rival=self.caches.rival(key),
            leaving_nodes=self.caches.leaving_nodes(),
            knows_routes=GRPC_ROUTE.kind in self.caches.extensions,
            is_scale_up_refused=await self._is_scale_up_refused(key, pods),
        )
        return self.sharing.observe(self.scaling.observe(world))

    async def _is_scale_up_refused(self, key: Key, pods: Sequence[Manifest]) -> bool:
        """Whether a cluster autoscaler has said of a pod that waits that no new node would help."""
        waiting = {pod["metadata"]["uid"] for pod in pods if unschedulable_message(pod) is not None}
        if not waiting:
            return False
        try:
            no = await self._said(key, cluster_autoscaler.NO, waiting)
            yes = await self._said(key, cluster_autoscaler.YES, waiting) if no else ()
        except ForbiddenError:
            return False  # a namespace whose events are not ours to read
        return cluster_autoscaler.has_refused(no, yes)

    async def _said(self, key: Key, fields: str, waiting: Set[str]) -> tuple[Manifest, ...]:
        said = await self.client.list(Selection(NEWS, key.namespace, fields=fields))
        return cluster_autoscaler.concerning(said.items, waiting)

    async def with_strangers(self, world: World, creations: Sequence[Manifest]) -> World:
        """The World with what stands where these objects are to be made. Asked only before
        something is made: server-side apply would silently take over an object of somebody
        else."""
        found = await asyncio.gather(*(self._look(manifest) for manifest in creations))
        there = [manifest for manifest in found if manifest is not None]
        ours = [manifest for manifest in there if _has_label(manifest, world)]
        strangers = [manifest for manifest in there if not _has_label(manifest, world)]
        return replace(world, children=(*world.children, *ours), strangers=tuple(strangers))

    async def _look(self, manifest: Manifest) -> dict[str, Any] | None:
        metadata = manifest["metadata"]
        resource = BY_KIND[manifest["kind"]]
        return await self.client.get(resource, metadata["namespace"], metadata["name"])

    async def _export_progress(self, pods: Sequence[Manifest]) -> ExportProgress | None:
        """Asks the newest export pod that runs. Its phase is Pending while init containers work."""
        running = [pod for pod in pods if _is_exporting(pod)]
        if not running:
            return None
        pod = max(running, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        answer = await self.progress.ask(pod["status"]["podIP"])
        if answer is None:
            return None
        return ExportProgress(
            pod_uid=pod["metadata"]["uid"],
            step=answer.step,
            bytes_done=answer.bytes_done,
            bytes_total=answer.bytes_total,
            eta_seconds=answer.eta_seconds,
        )


def _has_label(manifest: Manifest, world: World) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    return bool(labels.get(DEPLOYMENT_LABEL) == world.deployment.name)


def _is_exporting(pod: Manifest) -> bool:
    status = pod.get("status") or {}
    return (
        pod["metadata"].get("labels", {}).get(COMPONENT_LABEL) == "export"
        and "deletionTimestamp" not in pod["metadata"]
        and status.get("phase") in ("Pending", "Running")
        and bool(status.get("podIP"))
    )
