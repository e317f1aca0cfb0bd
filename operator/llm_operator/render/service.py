"""Services: the stable address, its headless twin, and one per revision."""

from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, ServiceSpec
from llm_operator.render import labels, names
from llm_operator.render.activation import PORT_ANNOTATION
from llm_operator.render.child import child


def service(
    owner: LLMDeployment, spec: ServiceSpec, activator_port: int | None = None
) -> dict[str, Any]:
    """The address of the LLMDeployment: all serving pods, whatever their revision. It keeps the
    port that the LLMDeployment has on activator pods. The CRD refuses annotations that are ours;
    an object that is older than that rule may have some."""
    head = child(
        "v1",
        "Service",
        names.service(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    annotations = {
        key: value for key, value in spec.annotations.items() if not key.startswith(labels.OWN)
    }
    if activator_port is not None:
        annotations[PORT_ANNOTATION] = str(activator_port)
    if annotations:
        head["metadata"]["annotations"] = annotations
    selector = labels.selector(owner.name, "runtime")
    return {**head, "spec": {"type": spec.type, "selector": selector, "ports": [_port(spec.port)]}}


def headless_service(owner: LLMDeployment, spec: ServiceSpec) -> dict[str, Any]:
    """For clients that balance by themselves: DNS answers with the ready pods."""
    head = child(
        "v1",
        "Service",
        names.headless_service(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    selector = labels.selector(owner.name, "runtime")
    return {
        **head,
        "spec": {"clusterIP": "None", "selector": selector, "ports": [_port(spec.port)]},
    }


def revision_service(owner: LLMDeployment, spec: ServiceSpec, hash8: str) -> dict[str, Any]:
    """The pods of one revision, for routes with weights; goes with it."""
    head = child(
        "v1",
        "Service",
        names.revision(owner.name, hash8),
        owner=owner,
        labels=labels.of_revision(owner.name, hash8),
    )
    selector = labels.revision_selector(owner.name, hash8)
    return {**head, "spec": {"selector": selector, "ports": [_port(spec.port)]}}


def _port(port: int) -> dict[str, Any]:
    """The target is named, because revisions may listen on different ports."""
    return {
        "name": "grpc",
        "port": port,
        "targetPort": "grpc",
        "protocol": "TCP",
        "appProtocol": "kubernetes.io/h2c",
    }
