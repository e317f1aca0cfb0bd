"""Volumes and mounts that more than one pod has."""

from typing import Any

from llm_operator.render import names

CONTROL_AUTH_DIR = "/etc/llm/control-auth"
CONTROL_AUTH_KEY = "control-auth.json"
CONTROL_AUTH_FILE = f"{CONTROL_AUTH_DIR}/{CONTROL_AUTH_KEY}"

TMP_SIZE = "256Mi"


def tmp() -> dict[str, Any]:
    """The root file system is read-only: this is what can be written besides."""
    return {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}}


def control_auth(deployment: str) -> dict[str, Any]:
    """Optional: without the ConfigMap the control port refuses every call, but the pod runs."""
    return {
        "name": "control-auth",
        "configMap": {"name": names.control_auth(deployment), "optional": True},
    }


def common_mounts() -> list[dict[str, Any]]:
    return [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "control-auth", "mountPath": CONTROL_AUTH_DIR, "readOnly": True},
    ]
