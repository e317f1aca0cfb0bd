"""Objects for tests on the local cluster."""

from collections.abc import Mapping
from typing import Protocol

BUSYBOX = "localhost/llm-operator-cluster/busybox:1"


class RunPod(Protocol):
    """Runs a shell script in a pod on a node to its end and returns what it wrote.

    ``spec`` and ``container`` give further fields of the pod's spec and of its container.
    """

    def __call__(
        self,
        node: str,
        script: str,
        spec: dict[str, object] | None = None,
        container: dict[str, object] | None = None,
    ) -> str: ...


def document(kind: str, name: str, namespace: str, spec: Mapping[str, object]) -> dict[str, object]:
    """A core/v1 object."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}
