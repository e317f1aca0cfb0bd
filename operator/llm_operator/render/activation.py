"""EndpointSlices of ours: where calls go while there is no pod.

They stand beside those that Kubernetes makes from the Service's selector. A port of its own tells
the activator which LLMDeployment a call is for, without a byte of it being understood.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, ScaleToZeroSpec
from llm_operator.reconcile.world import Activation
from llm_operator.render import labels, names
from llm_operator.render.child import child

PORTS = range(20_000, 30_000)
PORT_ANNOTATION = "llm-operator.dev/activator-port"
"""On the Service: the port that the LLMDeployment keeps."""
HOLD_TIMEOUT = "llm-operator.dev/hold-timeout-seconds"
MAX_HELD = "llm-operator.dev/max-held"


def activator_slices(
    owner: LLMDeployment, spec: ScaleToZeroSpec, activation: Activation, services: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """One for each of the Services."""
    for service in services:
        yield _slice(owner, spec, activation, service)


def _slice(
    owner: LLMDeployment, spec: ScaleToZeroSpec, activation: Activation, service: str
) -> dict[str, Any]:
    head = child(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        names.activator_slice(service),
        owner=owner,
        labels={**labels.common(owner.name, "runtime"), **labels.of_activator_slice(service)},
    )
    head["metadata"]["annotations"] = {
        HOLD_TIMEOUT: str(spec.hold_timeout_seconds),
        MAX_HELD: str(spec.max_held),
    }
    return {
        **head,
        "addressType": "IPv6" if ":" in activation.addresses[0] else "IPv4",
        "ports": [
            {
                "name": "grpc",
                "port": activation.port,
                "protocol": "TCP",
                "appProtocol": "kubernetes.io/h2c",
            }
        ],
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}}
            for address in activation.addresses
        ],
    }
