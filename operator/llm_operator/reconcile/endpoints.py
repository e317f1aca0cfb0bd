"""Pods that can be asked: where their control ports are."""

from collections.abc import Iterable, Mapping

from llm_operator.control.channel import Endpoint
from llm_operator.reconcile import pods
from llm_operator.reconcile.world import Manifest


def endpoints(found: Iterable[Manifest]) -> list[Endpoint]:
    """Of the pods that run; not of those that export."""
    return [
        Endpoint(str(pod["metadata"]["uid"]), str(pod["status"]["podIP"]))
        for pod in found
        if not pods.is_terminating(pod) and _listens(pod)
    ]


def _listens(pod: Manifest) -> bool:
    status: Mapping[str, object] = pod.get("status") or {}
    is_export = not pods.is_runtime_pod(pod) and "llm-operator.dev/deployment" in (
        pod["metadata"].get("labels") or {}
    )
    return bool(status.get("podIP")) and status.get("phase") == "Running" and not is_export
