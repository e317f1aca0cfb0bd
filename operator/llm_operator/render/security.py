"""The *restricted* Pod Security Standard and a little more, for every pod that is rendered."""

from typing import Any

UID = 10001
"""User and group of both images."""


def pod_security() -> dict[str, Any]:
    """No fsGroup: emptyDirs are writable without it, and a user's volume keeps its owners."""
    return {
        "runAsNonRoot": True,
        "runAsUser": UID,
        "runAsGroup": UID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
