"""Whom a client talks to: an LLMDeployment by its name, or any gRPC target."""

import re
from dataclasses import dataclass
from pathlib import Path

from llm_client.ways import Way

DEFAULT_PORT = 50051
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Kubernetes puts a pod's own namespace there, unless its service account token is not mounted."""

_ADDRESS = frozenset(":/.")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Model:
    """An LLMDeployment in the cluster that the program runs in; its text is NAME.NAMESPACE."""

    name: str
    namespace: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


@dataclass(frozen=True, slots=True)
class Places:
    """gRPC targets that lead to one model.

    Attributes:
        control_plane: where to see whether the control plane is there; empty takes it for granted.
        xds: what the control plane knows the model by.
        pods: its headless Service, which has the ready pods and is empty at zero.
        service: its Service, where the activator holds calls at zero.
    """

    control_plane: str
    xds: str
    pods: str
    service: str

    def target(self, way: Way) -> str:
        """Where a channel leads that goes this way."""
        return {Way.XDS: self.xds, Way.PODS: self.pods, Way.SERVICE: self.service}[way]


def address_of(target: str, namespace: str | None, port: int | None) -> Model | None:
    """The model that is meant, None for a gRPC target.

    Without ':', '/' and '.' a target is the name of an LLMDeployment. Raises ValueError, which
    names the argument.
    """
    if _ADDRESS.intersection(target):
        for argument, value in (("namespace", namespace), ("port", port)):
            if value is not None:
                raise ValueError(f"{argument}: {target!r} is an address and says where it leads")
        return None
    _check("target", target)
    home = own_namespace() if namespace is None else namespace
    _check("namespace", home)
    return Model(target, home, DEFAULT_PORT if port is None else port)


def own_namespace(path: Path = OWN_NAMESPACE) -> str:
    """The namespace of the pod that this runs in; "default" where that is not known."""
    try:
        return path.read_text().strip() or "default"
    except OSError:
        return "default"


def places_of(model: Model, control_plane: str) -> Places:
    """Both Services are in the cluster's DNS, the pods' under names that the operator gives."""
    name, home, port = model.name, model.namespace, model.port
    return Places(
        control_plane=control_plane,
        xds=f"xds:///{model}",
        pods=f"dns:///{name}-pods.{home}.svc:{port}",
        service=f"dns:///{name}.{home}.svc:{port}",
    )


def _check(argument: str, value: str) -> None:
    if not _LABEL.fullmatch(value):
        raise ValueError(
            f"{argument}: {value!r} is no Kubernetes name: 1 to 63 lower-case letters, digits "
            "and '-', which neither begins nor ends it"
        )
