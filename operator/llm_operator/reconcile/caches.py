"""What the watches keep for the reconciles: children and pods, and the little that is read of
nodes, other autoscalers and activators."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_operator.api.conditions import moment
from llm_operator.kube.resources import (
    CHILDREN,
    ENDPOINT_SLICE,
    GRPC_ROUTE,
    LLM_DEPLOYMENT,
    POD,
)
from llm_operator.kube.store import (
    Json,
    Key,
    Store,
    itself,
    owner_of,
    pod_essentials,
    without_managed_fields,
)
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import Manifest

CORDON_TAINT = "node.kubernetes.io/unschedulable"


def _stores() -> dict[str, Store]:
    kinds = (*CHILDREN, GRPC_ROUTE)
    children = {resource.kind: Store(slim=without_managed_fields) for resource in kinds}
    return {**children, POD.kind: Store(slim=pod_essentials)}


def node_essentials(node: Json) -> Json:
    """Of a node: its name and its cordon. Its heartbeats and its other taints are nobody's news."""
    metadata = node["metadata"]
    slim = {"name": metadata["name"], "resourceVersion": metadata["resourceVersion"]}
    taints = (node.get("spec") or {}).get("taints") or ()
    cordons = [taint for taint in taints if taint["key"] == CORDON_TAINT]
    return {"metadata": slim, "spec": {"taints": cordons}}


def autoscaler_essentials(autoscaler: Json) -> Json:
    """Of a HorizontalPodAutoscaler: its name and what it scales."""
    names = ("name", "namespace", "resourceVersion", "uid")
    metadata = {name: autoscaler["metadata"][name] for name in names}
    return {"metadata": metadata, "spec": {"scaleTargetRef": _target(autoscaler)}}


def scaled_by(autoscaler: Json) -> Key | None:
    """The LLMDeployment whose `spec.replicas` a HorizontalPodAutoscaler writes."""
    target = _target(autoscaler)
    group = str(target.get("apiVersion") or "").partition("/")[0]
    if (group, target.get("kind")) != (LLM_DEPLOYMENT.group, LLM_DEPLOYMENT.kind):
        return None
    return Key(autoscaler["metadata"]["namespace"], str(target["name"]))


def _target(autoscaler: Json) -> Mapping[str, Any]:
    target: Mapping[str, Any] = (autoscaler.get("spec") or {}).get("scaleTargetRef") or {}
    return target


@dataclass(frozen=True, slots=True)
class Caches:
    """One store per kind."""

    stores: Mapping[str, Store] = field(default_factory=_stores)
    nodes: Store = field(default_factory=lambda: Store(slim=node_essentials, owner=itself))
    autoscalers: Store = field(
        default_factory=lambda: Store(slim=autoscaler_essentials, owner=scaled_by)
    )
    activators: Store = field(default_factory=lambda: Store(slim=pod_essentials, owner=itself))
    control_planes: Store = field(default_factory=lambda: Store(slim=pod_essentials, owner=itself))
    """Pods of the xDS control plane."""
    extensions: set[str] = field(default_factory=set)
    """Kinds that the API server knows, of those that not every one does."""

    def children(self, owner: Key) -> tuple[Manifest, ...]:
        return tuple(c for kind, s in self.stores.items() if kind != POD.kind for c in s.of(owner))

    def pods(self, owner: Key) -> tuple[Manifest, ...]:
        return self.stores[POD.kind].of(owner)

    def runtime_pods(self, owner: Key) -> tuple[Manifest, ...]:
        return tuple(pod for pod in self.pods(owner) if pods.is_runtime_pod(pod))

    def rival(self, owner: Key) -> str | None:
        """A HorizontalPodAutoscaler (one that KEDA made, too) that scales this LLMDeployment."""
        found = self.autoscalers.of(owner)
        return f"HorizontalPodAutoscaler {found[0]['metadata']['name']}" if found else None

    def leaving_nodes(self) -> Mapping[str, datetime]:
        """Cordoned nodes, and since when."""
        found = {}
        for node in self.nodes.all():
            for taint in node["spec"]["taints"]:
                if taint.get("timeAdded"):
                    found[str(node["metadata"]["name"])] = moment(str(taint["timeAdded"]))
        return found

    def ready_activators(self) -> tuple[Manifest, ...]:
        """Activator pods that take calls."""
        return _ready(self.activators)

    def ready_control_planes(self) -> tuple[Manifest, ...]:
        """Pods of the xDS control plane that clients may ask."""
        return _ready(self.control_planes)

    def at_zero(self) -> set[Key]:
        """LLMDeployments whose calls find an activator now."""
        owners = map(owner_of, self.stores[ENDPOINT_SLICE.kind].all())
        return {owner for owner in owners if owner is not None}

    def on_node(self, name: str) -> set[Key]:
        """LLMDeployments with a pod on this node."""
        there = self.stores[POD.kind].all()
        owners = {owner_of(pod) for pod in there if pod["spec"]["nodeName"] == name}
        return {owner for owner in owners if owner is not None}


def _ready(store: Store) -> tuple[Manifest, ...]:
    there = (pod for pod in store.all() if not pods.is_terminating(pod))
    return tuple(pod for pod in there if pods.is_ready(pod) and pod["status"].get("podIP"))
