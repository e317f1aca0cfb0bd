"""The *restricted* Pod Security Standard as a list of violations, for pods that tests render."""

from collections.abc import Iterator, Mapping
from typing import Any

VOLUME_KINDS = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def violations(pod: Mapping[str, Any]) -> Iterator[str]:
    """What a pod spec does that *restricted*, or our own addition to it, forbids."""
    yield from _pod_violations(pod)
    for volume in pod.get("volumes", ()):
        for kind in volume.keys() - {"name"} - VOLUME_KINDS:
            yield f"volume {volume['name']}: {kind}"
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        for found in _container_violations(container):
            yield f"container {container['name']}: {found}"


def _pod_violations(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    security = pod.get("securityContext", {})
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if not security.get("runAsNonRoot") or security.get("runAsUser", 1) == 0:
        yield "runAsNonRoot"
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"


def _container_violations(container: Mapping[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities"
    if security.get("privileged") or security.get("runAsUser") == 0:
        yield "privileged or root"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"
