"""World: all that was read for one LLMDeployment, frozen. Input of the pure half of a reconcile.

`observe` builds it, `plan` decides on it. Every Kubernetes object in it is a plain mapping as the
API server returned it (JSON names); `metadata.managedFields` may be left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.autoscale.decision import Decision
from llm_operator.autoscale.signals import PodLoad, Silence
from llm_operator.rollout.clients import Clients

Manifest = Mapping[str, Any]
"""A Kubernetes object (or a part of one) as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """What the pure half needs of the operator's settings."""

    namespace: str
    """The operator's own namespace (NetworkPolicies let its pods in)."""
    service_account: str
    """The operator's ServiceAccount: the subject that control ports accept."""
    runtime_image: str
    exporter_image: str
    image_pull_policy: str = "IfNotPresent"
    registry: str = "llm-operator-registry.llm-system.svc:5000"
    """host:port that pods and nodes read artifacts from."""
    registry_push: str = ""
    """host:port that export Jobs write to; empty takes `registry`."""
    registry_plain_http: bool = False
    hf_endpoint: str = ""
    """Endpoint for hf:// sources that name none; empty is the hub's own."""
    has_activator: bool = False
    """Whether the chart's activator is installed, so that something may scale to zero."""
    has_xds: bool = False
    """Whether the chart's xDS control plane is installed, so that shares hold for every call."""
    watches_nodes: bool = False
    """Whether cordoned nodes are noticed, so that a pod may be held until it is replaced."""


@dataclass(frozen=True, slots=True)
class ControlAuthority:
    """Who signs the operator's control-port tokens: the API server's public OIDC documents."""

    issuer: str
    jwks: Manifest


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """An answer of the export pod's `GetProgress`."""

    pod_uid: str
    step: str
    """fetch, export, verify or push."""
    bytes_done: int
    bytes_total: int
    """0 while unknown."""
    eta_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """Where calls go while there is no pod."""

    port: int
    """The LLMDeployment's own port on every activator pod: its identity there."""
    addresses: tuple[str, ...] = ()
    """IPs of the activator pods that are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One LLMDeployment and everything around it at one moment."""

    now: datetime
    """Aware, UTC."""
    deployment: LLMDeployment
    settings: OperatorSettings
    children: tuple[Manifest, ...] = ()
    """Objects labelled `llm-operator.dev/deployment=<name>` in the namespace, of every kind that is
    rendered, each with `apiVersion` and `kind` filled in. Ours or not: ownership is judged here."""
    strangers: tuple[Manifest, ...] = ()
    """Objects without that label that stand where the plan wants to create one (see
    `Plan.creations`); empty in the first look."""
    pods: tuple[Manifest, ...] = ()
    """Pods with the label, runtime and export; `metadata`, `spec.nodeName` and `status` suffice."""
    export_progress: ExportProgress | None = None
    loads: Mapping[str, PodLoad] = field(default_factory=dict)
    """What runtime pods say of themselves, by uid; one that says nothing credible is not in it."""
    silences: Mapping[str, Silence] = field(default_factory=dict)
    """Of runtime pods that are listened to and are not in `loads`, by uid."""
    decision: Decision | None = None
    """The autoscaler's, where there is one."""
    clients: Clients = field(default_factory=Clients)
    """Those that use xDS."""
    rival: str | None = None
    """Another autoscaler that writes `spec.replicas` of this object, as kind and name."""
    leaving_nodes: Mapping[str, datetime] = field(default_factory=dict)
    """Nodes that are cordoned, and since when."""
    knows_routes: bool = False
    """Whether the API server knows GRPCRoute: the Gateway API is installed."""
    activation: Activation | None = None
    """None where no activator is installed, or none is wanted."""
    is_scale_up_refused: bool = False
    """A cluster autoscaler has said that no new node would help a pod that waits for one."""
    control_authority: ControlAuthority | None = None
    """None until it was read once: no ConfigMap is written then, an existing one stays."""

    def child(self, kind: str, name: str) -> Manifest | None:
        """The object of that kind and name, whoever owns it."""
        found = (*self.of_kind(kind), *(s for s in self.strangers if s["kind"] == kind))
        return next((c for c in found if c["metadata"]["name"] == name), None)

    def of_kind(self, kind: str) -> Iterator[Manifest]:
        return (child for child in self.children if child["kind"] == kind)

    def owned(self, kind: str) -> Iterator[Manifest]:
        """Children of that kind whose controller is this LLMDeployment."""
        return (child for child in self.of_kind(kind) if self.owns(child))

    def owns(self, manifest: Manifest) -> bool:
        return controller_uid(manifest) == self.deployment.uid


def controller_uid(manifest: Manifest) -> str | None:
    """The uid of the owner with `controller: true`, if there is one."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def uid_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["uid"])
