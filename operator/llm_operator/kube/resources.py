"""The kinds that the operator touches, and where the API server keeps them.

A closed table instead of discovery: what is not in it cannot be read or written, and the chart's
RBAC is compared with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind. `group` is empty for the core group."""

    kind: str
    plural: str
    group: str
    version: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str = "") -> str:
        """URL path of a collection (all namespaces when None), an object or its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


LLM_DEPLOYMENT = Resource("LLMDeployment", "llmdeployments", "llm-operator.dev", "v1alpha1")
LEASE = Resource("Lease", "leases", "coordination.k8s.io", "v1")
EVENT = Resource("Event", "events", "events.k8s.io", "v1")
NEWS = Resource("Event", "events", "", "v1")
"""Events in the old form, in which other controllers tell theirs; ours are of events.k8s.io."""
POD = Resource("Pod", "pods", "", "v1")
NODE = Resource("Node", "nodes", "", "v1")
HORIZONTAL_POD_AUTOSCALER = Resource(
    "HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2"
)
ENDPOINT_SLICE = Resource("EndpointSlice", "endpointslices", "discovery.k8s.io", "v1")

CHILDREN = (
    Resource("ConfigMap", "configmaps", "", "v1"),
    Resource("Service", "services", "", "v1"),
    Resource("ServiceAccount", "serviceaccounts", "", "v1"),
    Resource("ControllerRevision", "controllerrevisions", "apps", "v1"),
    Resource("Deployment", "deployments", "apps", "v1"),
    Resource("Job", "jobs", "batch", "v1"),
    Resource("NetworkPolicy", "networkpolicies", "networking.k8s.io", "v1"),
    Resource("PodDisruptionBudget", "poddisruptionbudgets", "policy", "v1"),
    ENDPOINT_SLICE,
)
"""Kinds that a reconcile creates, repairs and deletes, and that every cluster has."""

GRPC_ROUTE = Resource("GRPCRoute", "grpcroutes", "gateway.networking.k8s.io", "v1")
"""A child as well, where the API server knows the kind: it may come and go while we run."""

BY_KIND: Mapping[str, Resource] = MappingProxyType(
    {r.kind: r for r in (LLM_DEPLOYMENT, LEASE, EVENT, POD, *CHILDREN, GRPC_ROUTE)}
)
