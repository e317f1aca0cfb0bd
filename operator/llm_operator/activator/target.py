"""What EndpointSlices say about one LLMDeployment: the port that is its own, and its ready pods.

Pure. The operator's slices (label `llm-operator.dev/activator`) tell the port and the bounds of
holding, those that Kubernetes keeps for the Service tell the pods.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ACTIVATOR_LABEL = "llm-operator.dev/activator"
SERVICE_LABEL = "kubernetes.io/service-name"
HOLD_SECONDS = "llm-operator.dev/hold-timeout-seconds"
HELD_CALLS = "llm-operator.dev/max-held"
PORT_NAME = "grpc"

FIRST_PORT = 20_000
LAST_PORT = 29_999
"""Ports of LLMDeployments; the NetworkPolicy of the chart opens these."""

LONGEST_HOLD_SECONDS = 3600
MOST_HELD = 10_000
"""The CRD's own bounds; a slice that asks for more was not written by the operator."""

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
"""No longer: Python refuses to read very long ones, with an error that would end the process."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call is held at most, in seconds, and how many at a time."""

    seconds: float = 300.0
    calls: int = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """An LLMDeployment as its slices show it.

    port: where its calls arrive; None while the activator is not in their way.
    pods: `address:port` of ready pods, sorted.
    """

    port: int | None = None
    limits: Limits = Limits()
    pods: tuple[str, ...] = ()


def target(name: str, slices: Iterable[Json]) -> Target:
    """Reads the slices that carry the label of the LLMDeployment `name`."""
    ours: list[tuple[int, Json]] = []
    pods: set[str] = set()
    for found in slices:
        labels = found["metadata"].get("labels") or {}
        if labels.get(ACTIVATOR_LABEL) == "true":
            ours += [(port, found) for port in _ports(found) if FIRST_PORT <= port <= LAST_PORT]
        elif labels.get(SERVICE_LABEL) == name:
            pods.update(_ready(found))
    if not ours:
        return Target(pods=tuple(sorted(pods)))
    port, told = min(ours, key=lambda each: each[0])
    return Target(port, _limits(told), tuple(sorted(pods)))


def _ports(found: Json) -> list[int]:
    return [
        entry["port"]
        for entry in found.get("ports") or ()
        if entry.get("name") == PORT_NAME and isinstance(entry.get("port"), int)
    ]


def _ready(found: Json) -> Iterator[str]:
    for port in _ports(found):
        for endpoint in found.get("endpoints") or ():
            # Without a condition the API's own meaning is "ready".
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                yield from (_joined(address, port) for address in endpoint.get("addresses") or ())


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _limits(found: Json) -> Limits:
    """The annotations; what is missing or no number has its default."""
    annotations = found["metadata"].get("annotations") or {}
    default = Limits()
    seconds = _whole(annotations.get(HOLD_SECONDS)) or default.seconds
    calls = _whole(annotations.get(HELD_CALLS)) or default.calls
    return Limits(float(min(seconds, LONGEST_HOLD_SECONDS)), min(calls, MOST_HELD))


def _whole(text: object) -> int | None:
    return int(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else None
