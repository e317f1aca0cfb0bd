"""NetworkPolicies: who may talk to runtime and export pods, and whom they may talk to."""

from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.reconcile.world import OperatorSettings
from llm_operator.render import labels, names
from llm_operator.render.child import child
from llm_operator.render.environment import CONTROL_PORT

_OPERATOR_PODS = {
    "app.kubernetes.io/name": "llm-operator",
    "app.kubernetes.io/component": "operator",
}
"""As the chart labels them."""

_DNS = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def network_policy(owner: LLMDeployment, settings: OperatorSettings) -> dict[str, Any]:
    """Runtime pods: inference and metrics for everybody, control for the operator, out to names and
    the registry alone. The kubelet's probes come from the node, which policies let in."""
    head = child(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        names.network_policy(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    spec = {
        "podSelector": {"matchLabels": labels.selector(owner.name, "runtime")},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"ports": [_tcp("grpc"), _tcp("metrics")]},
            _control_from_operator(settings),
        ],
        "egress": [_DNS, _registry(settings)],
    }
    return {**head, "spec": spec}


def export_network_policy(owner: LLMDeployment, settings: OperatorSettings) -> dict[str, Any]:
    """Export pods: they reach any source, and only the operator reaches them."""
    head = child(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        names.export_network_policy(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "export"),
    )
    spec = {
        "podSelector": {"matchLabels": labels.selector(owner.name, "export")},
        "policyTypes": ["Ingress"],
        "ingress": [_control_from_operator(settings)],
    }
    return {**head, "spec": spec}


def _control_from_operator(settings: OperatorSettings) -> dict[str, Any]:
    operator = {**_namespace(settings.namespace), "podSelector": {"matchLabels": _OPERATOR_PODS}}
    return {"from": [operator], "ports": [_tcp(CONTROL_PORT)]}


def _registry(settings: OperatorSettings) -> dict[str, Any]:
    """The embedded registry's namespace; for a registry elsewhere, its port."""
    host, _, port = settings.registry.partition("/")[0].partition(":")
    parts = host.split(".")
    if len(parts) > 2 and parts[2] == "svc":
        return {"to": [_namespace(parts[1])]}
    return {"ports": [_tcp(int(port or (80 if settings.registry_plain_http else 443)))]}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _tcp(port: int | str) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
