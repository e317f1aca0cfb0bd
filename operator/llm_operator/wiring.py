"""The parts of one operator process, put together from its settings. No decisions here."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from kubernetes.aio.client.api_client import ApiClient
from prometheus_client.core import Metric

from llm_operator.autoscale.loop import Autoscaler
from llm_operator.control.authority import Authority
from llm_operator.control.drain import DrainClient
from llm_operator.control.loads import Held, Loads
from llm_operator.control.progress import ProgressClient
from llm_operator.control.token import read_token
from llm_operator.control.traffic import TrafficReports
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError, NotFoundError
from llm_operator.kube.events import EventRecorder
from llm_operator.kube.lease import Lease, Terms
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import (
    CHILDREN,
    ENDPOINT_SLICE,
    GRPC_ROUTE,
    HORIZONTAL_POD_AUTOSCALER,
    LLM_DEPLOYMENT,
    NODE,
    POD,
)
from llm_operator.kube.store import Key
from llm_operator.kube.watch import Watch
from llm_operator.reconcile.apply import Applier
from llm_operator.reconcile.caches import Caches
from llm_operator.reconcile.loop import Loop, Schedule
from llm_operator.reconcile.observe import Observer
from llm_operator.reconcile.queue import KeyedQueue
from llm_operator.reconcile.reconcile import Outcome, Planner, Reconciler
from llm_operator.reconcile.roster import Roster
from llm_operator.reconcile.scaling import Scaling
from llm_operator.reconcile.sharing import Sharing
from llm_operator.reconcile.world import OperatorSettings
from llm_operator.render.labels import ACTIVATOR, OURS
from llm_operator.settings import Settings
from llm_operator.telemetry import health
from llm_operator.telemetry.metrics import Metrics, gauge, gauge_by

logger = logging.getLogger(__name__)

LEASE_NAME = "llm-operator"
ACTIVATOR_SLICES = f"{ACTIVATOR}=true"
ACTIVATOR_PODS = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component=activator"
XDS_PODS = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component=xds"
CRD_PAUSE_SECONDS = 2.0


@dataclass(slots=True)
class Operator:
    """One process's parts: `start` them, `stop` them. `ended` is set when they end by
    themselves."""

    settings: Settings
    client: KubeClient
    loop: Loop
    metrics: Metrics
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    health_port: int = 0
    metrics_port: int = 0
    _running: "asyncio.Task[None] | None" = None
    _servers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """Serves health and metrics, waits for the CRD, then lets everything run."""
        await self._serve()
        await self._wait_for_crd()
        self._running = asyncio.create_task(self.loop.run(), name="operator")
        self._running.add_done_callback(lambda _: self.ended.set())

    async def stop(self) -> None:
        """Stops the workers, gives the Lease back, closes everything. Raises what had failed."""
        try:
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait({self._running})
        finally:
            await self._servers.aclose()
            await self.client.aclose()
        if self._running is not None and not self._running.cancelled():
            self._running.result()

    async def _serve(self) -> None:
        self.health_port, self.metrics_port = await health.serve_process(
            self._servers, self.loop, self.metrics.page, self.settings
        )

    async def _wait_for_crd(self) -> None:
        """kopf looks for the CRD once, at its start: it has to be there by then."""
        path = f"/apis/{LLM_DEPLOYMENT.api_version}"
        while True:
            try:
                await self.client.get_raw(path)
            except NotFoundError:
                logger.warning("The CRD is not installed: apply crds/llmdeployments.yaml")
            except KubeError as error:
                logger.warning("API server cannot be used yet", extra={"error": str(error)})
            else:
                return
            await asyncio.sleep(CRD_PAUSE_SECONDS)


def assemble(settings: Settings, api: ApiClient, plan: Planner) -> Operator:
    """All parts of a process. `plan` is the pure half."""
    metrics = Metrics()
    unfenced = KubeClient(api, note=metrics.note_request)
    lease = Lease(
        unfenced,
        settings.namespace,
        LEASE_NAME,
        f"{settings.pod_name}_{uuid.uuid4()}",  # a container that restarts is another candidate
        Terms.of(settings.lease_seconds),
    )
    client = replace(unfenced, fence=lease.fence)
    caches, authority, roster = Caches(), Authority(client), Roster()
    queue: KeyedQueue[Key] = KeyedQueue()
    token = partial(read_token, settings.control_token_file)
    scaling = _scaling(caches, token, queue.add)
    sharing = Sharing(caches=caches, reports=TrafficReports(token, queue.add))
    observer = Observer(
        client,
        caches,
        rendering(settings),
        authority,
        ProgressClient(token),
        scaling,
        sharing,
    )
    recorder = EventRecorder(client, settings.pod_name)
    applier = Applier(client, caches, recorder, DrainClient(token))
    namespaces = settings.watch_namespaces or (None,)
    loop = Loop(
        client=client,
        namespaces=namespaces,
        watches=(
            *_watches(client, caches, sharing, queue.add, settings),
            *_extensions(client, caches, roster, queue.add, settings),
        ),
        lease=lease,
        queue=queue,
        roster=roster,
        reconciler=Reconciler(observer, plan, applier),
        scaling=scaling,
        sharing=sharing,
        authority=authority,
        schedule=Schedule(settings.workers, settings.resync_seconds),
        measured=partial(_measure, metrics),
    )
    metrics.measure(partial(_gauges, loop))
    return Operator(settings, client, loop, metrics)


def rendering(settings: Settings) -> OperatorSettings:
    """What the pure half needs of the settings."""
    return OperatorSettings(
        namespace=settings.namespace,
        service_account=settings.service_account,
        runtime_image=settings.runtime_image,
        exporter_image=settings.exporter_image,
        image_pull_policy=settings.image_pull_policy,
        registry=settings.registry,
        registry_push=settings.registry_push,
        registry_plain_http=settings.registry_plain_http,
        hf_endpoint=settings.hf_endpoint,
        has_activator=settings.activator_enabled,
        has_xds=settings.xds_enabled,
        watches_nodes=settings.watch_nodes,
    )


def _scaling(caches: Caches, token: Callable[[], str], wake: Callable[[Key], None]) -> Scaling:
    """Loads tell the autoscaler, which asks for them: hence the late binding."""
    loads = Loads(token, lambda key, before, after: autoscaler.heard(key, before, after))
    held = Held(token, lambda key: autoscaler.held_changed(key))
    autoscaler = Autoscaler(
        loads=loads, held=held, runtime_pods=caches.runtime_pods, wake=wake, now=time.time
    )
    return Scaling(caches=caches, loads=loads, held=held, autoscaler=autoscaler)


def _watches(
    client: KubeClient,
    caches: Caches,
    sharing: Sharing,
    touched: Callable[[Key], None],
    settings: Settings,
) -> Iterator[Watch]:
    for namespace in settings.watch_namespaces or (None,):
        for resource in (*CHILDREN, POD):
            labels = f"{OURS},{ACTIVATOR_SLICES}" if resource is ENDPOINT_SLICE else OURS
            what = Selection(resource, namespace, labels)
            yield Watch(client, what, caches.stores[resource.kind], touched)
        rivals = Selection(HORIZONTAL_POD_AUTOSCALER, namespace)
        yield Watch(client, rivals, caches.autoscalers, touched)
    if settings.watch_nodes:
        yield Watch(client, Selection(NODE), caches.nodes, partial(_on_node, caches, touched))
    if settings.activator_enabled:
        pods = Selection(POD, settings.namespace, ACTIVATOR_PODS)
        yield Watch(client, pods, caches.activators, lambda _: _each(touched, caches.at_zero()))

    if settings.xds_enabled:
        pods = Selection(POD, settings.namespace, XDS_PODS)
        yield Watch(client, pods, caches.control_planes, lambda _: _each(touched, sharing.shared))


def _extensions(
    client: KubeClient,
    caches: Caches,
    roster: Roster,
    touched: Callable[[Key], None],
    settings: Settings,
) -> Iterator[Watch]:
    """Watches of kinds that are installed, or removed, while we run: each LLMDeployment may want
    such a child."""

    def known(kind: str, is_known: bool) -> None:
        if is_known != (kind in caches.extensions):
            caches.extensions.symmetric_difference_update({kind})
            logger.info("A kind came or went", extra={"kind": kind, "known": is_known})
            _each(touched, roster.keys())

    for namespace in settings.watch_namespaces or (None,):
        for resource in (GRPC_ROUTE,):
            what, store = Selection(resource, namespace, OURS), caches.stores[resource.kind]
            yield Watch(client, what, store, touched, known=partial(known, resource.kind))


def _on_node(caches: Caches, touched: Callable[[Key], None], node: Key) -> None:
    _each(touched, caches.on_node(node.name))


def _each(touched: Callable[[Key], None], keys: Iterable[Key]) -> None:
    for key in keys:
        touched(key)


def _measure(metrics: Metrics, outcome: Outcome, seconds: float) -> None:
    metrics.reconciles.labels(outcome.value).observe(seconds)


def _gauges(loop: Loop) -> Iterator[Metric]:
    now = asyncio.get_running_loop().time()
    silence = {w.what.resource.plural: 0.0 for w in loop.watches}
    for watch in loop.watches:
        plural = watch.what.resource.plural
        silence[plural] = max(silence[plural], now - watch.seen)
    yield gauge("llm_operator_leader", "1 while this process leads", float(loop.lease.is_held))
    yield gauge("llm_operator_queue_depth", "LLMDeployments that wait for a run", len(loop.queue))
    yield gauge(
        "llm_operator_queue_overdue_seconds",
        "Longest time that a due LLMDeployment has waited for a worker",
        loop.queue.overdue(now),
    )
    yield gauge("llm_operator_llmdeployments", "LLMDeployments known", len(loop.roster))
    yield gauge_by(
        "llm_operator_watch_silence_seconds",
        "Time since the API server's last sign of life, by resource",
        "resource",
        silence,
    )
