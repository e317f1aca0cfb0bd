"""Labels and selectors of the children."""

from typing import Literal

Component = Literal["runtime", "export"]

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
MANAGED_BY = "app.kubernetes.io/managed-by"
COMPONENT = "app.kubernetes.io/component"
OWN = "llm-operator.dev/"
"""How keys begin that are the operator's alone to write."""
DEPLOYMENT = "llm-operator.dev/deployment"
REVISION = "llm-operator.dev/revision"
ACTIVATOR = "llm-operator.dev/activator"

MANAGER = "llm-operator"
"""Value of the managed-by label, and the field manager of server-side apply."""
OURS = f"{MANAGED_BY}={MANAGER}"
"""Selects every child; Kubernetes copies the labels of a Service to the slices that it keeps."""
SERVICE = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service that it is of."""


def common(deployment: str, component: Component) -> dict[str, str]:
    """What every child carries."""
    return {
        NAME: "llm-runtime",
        INSTANCE: deployment,
        MANAGED_BY: MANAGER,
        COMPONENT: component,
        DEPLOYMENT: deployment,
    }


def of_revision(deployment: str, hash8: str) -> dict[str, str]:
    """What the children and pods of a revision carry."""
    return {**common(deployment, "runtime"), REVISION: hash8}


def of_activator_slice(service: str) -> dict[str, str]:
    """What makes an EndpointSlice count for its Service, and tells it from those of Kubernetes."""
    return {
        SERVICE: service,
        "endpointslice.kubernetes.io/managed-by": MANAGER,
        ACTIVATOR: "true",
    }


def selector(deployment: str, component: Component) -> dict[str, str]:
    """Selects the pods of all revisions, or the export pods."""
    return {DEPLOYMENT: deployment, COMPONENT: component}


def revision_selector(deployment: str, hash8: str) -> dict[str, str]:
    return {**selector(deployment, "runtime"), REVISION: hash8}


def as_query(labels: dict[str, str]) -> str:
    """A selector in the form of the scale subresource and of label queries."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
