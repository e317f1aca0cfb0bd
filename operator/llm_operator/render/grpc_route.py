"""GRPCRoute: how Gateways pass calls on, in the shares that every other client is told.

It sets no timeout: GRPCRoute has none in v1, and a stream may last as long as the answer does. What
a Gateway does by itself is its own setting.
"""

from collections.abc import Mapping
from typing import Any

from llm_operator.api.llmdeployment import GatewaySpec, LLMDeployment, ParentRef
from llm_operator.render import labels, names
from llm_operator.render.child import child

API_VERSION = "gateway.networking.k8s.io/v1"
KIND = "GRPCRoute"
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
WHOLE = 100
"""The weight of a backend that gets every call."""


def grpc_route(
    owner: LLMDeployment, gateway: GatewaySpec, port: int, shares: Mapping[str, int]
) -> dict[str, Any]:
    """The route to the Service, or to those of the revisions that have a share.

    Defaults of the API server are written out, so that whoever changes one is noticed.

    Args:
        port: of the Services.
        shares: per cent of the calls by revision; empty where pods are alike.
    """
    head = child(
        API_VERSION,
        KIND,
        names.grpc_route(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    return {
        **head,
        "spec": {
            "parentRefs": [parent_ref(each) for each in gateway.parent_refs],
            "hostnames": list(gateway.hostnames),
            "rules": [{"backendRefs": _backend_refs(owner.name, port, shares)}],
        },
    }


def parent_ref(spec: ParentRef) -> dict[str, Any]:
    """A reference as it stands in the route, and comes back in its status."""
    return {**GATEWAY, **spec.model_dump(by_alias=True, exclude_none=True)}


def _backend_refs(deployment: str, port: int, shares: Mapping[str, int]) -> list[dict[str, Any]]:
    """A revision without a share is left out: its Service is on its way to or from being there."""
    backends = {names.revision(deployment, hash8): share for hash8, share in shares.items()}
    weights = {name: weight for name, weight in backends.items() if weight}
    return [
        {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight}
        for name, weight in (weights or {names.service(deployment): WHOLE}).items()
    ]
