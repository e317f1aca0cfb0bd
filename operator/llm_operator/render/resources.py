"""Resource requests of rendered containers."""

from collections.abc import Mapping
from typing import Any

DEFAULT_REQUESTS = {"cpu": "250m", "memory": "512Mi"}
"""An HPA on CPU needs a request, also on an object that names none."""


def with_default_requests(given: Mapping[str, Any]) -> dict[str, Any]:
    """The user's resources; what has neither request nor limit gets the default request."""
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    missing = {
        name: amount
        for name, amount in DEFAULT_REQUESTS.items()
        if name not in limits and name not in requests
    }
    return {**given, "requests": {**missing, **requests}} if missing else dict(given)


def cpu_and_memory_only(given: Mapping[str, Any]) -> dict[str, Any]:
    """For a container that needs no device of its pod."""
    kept = ("cpu", "memory", "ephemeral-storage")
    amounts = {
        kind: {name: amount for name, amount in (given.get(kind) or {}).items() if name in kept}
        for kind in ("limits", "requests")
    }
    return {kind: of_kind for kind, of_kind in amounts.items() if of_kind}
