"""Environment variables of rendered containers: the pod side of the environment contract."""

from collections.abc import Mapping
from typing import Any

from llm_operator.render.volumes import CONTROL_AUTH_FILE

CONTROL_PORT = 50052
METRICS_PORT = 9090

TERMINATION_LOG = "/dev/termination-log"

Env = list[dict[str, Any]]


def values(pairs: Mapping[str, str | int | None]) -> Env:
    """Plain variables; those that are None are left out."""
    return [
        {"name": name, "value": str(value)} for name, value in pairs.items() if value is not None
    ]


def from_field(name: str, path: str) -> dict[str, Any]:
    """A field of the pod, by the downward API."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def from_limit(name: str, container: str, resource: str, divisor: str) -> dict[str, Any]:
    """A limit of the container; where it has none, what the node can give."""
    reference = {"containerName": container, "resource": f"limits.{resource}", "divisor": divisor}
    return {"name": name, "valueFrom": {"resourceFieldRef": reference}}


def contract(container: str) -> Env:
    """What every container of ours gets."""
    return [
        *values(
            {
                "LLM_CONTROL_PORT": CONTROL_PORT,
                "LLM_CONTROL_AUTH_FILE": CONTROL_AUTH_FILE,
                "LLM_TERMINATION_LOG": TERMINATION_LOG,
            }
        ),
        from_limit("LLM_MEMORY_LIMIT_BYTES", container, "memory", "1"),
    ]


def flag(value: bool) -> str:
    return "true" if value else "false"
