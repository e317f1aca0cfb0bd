"""A real Gateway for tests: Traefik, as a process of this machine.

A pod would cost an image of 180 MB, written and imported twice, and rights of its own; pods and the
API server are reached from the machine in the same way. It listens on loopback alone.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.free_port import free_port
from support.programs import built

API = "gateway.networking.k8s.io/v1"
CLASS, CONTROLLER = "traefik", "traefik.io/gateway-controller"
KINDS = (
    "backendtlspolicies",
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "referencegrants",
)
"""All that it looks for; without one of them it serves nothing."""
READ_TIMEOUT_SECONDS = 60.0
"""Traefik's default: so long may a request take to come in."""


@dataclass(frozen=True, slots=True)
class Traefik:
    """A running one."""

    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def objects(self, name: str, namespace: str) -> list[dict[str, Any]]:
        """The class that this one serves, and a Gateway with a listener for routes next to it."""
        listener = {"name": "grpc", "protocol": "HTTP", "port": self.port}
        gateway = {"gatewayClassName": CLASS, "listeners": [listener]}
        return [
            _object("GatewayClass", CLASS, None, {"controllerName": CONTROLLER}),
            _object("Gateway", name, namespace, gateway),
        ]


def kinds() -> Sequence[Path]:
    """Their CRDs."""
    programs = built("gateway-api")
    return [programs.path("gateway-api", f"{kind}.yaml") for kind in KINDS]


@contextmanager
def running_traefik(kubeconfig: str, log: Path) -> Iterator[Traefik]:
    """One with its defaults; ended with the block."""
    port = free_port()
    argv = [
        str(built("traefik").path("traefik")),
        f"--entrypoints.grpc.address=127.0.0.1:{port}",
        "--providers.kubernetesgateway=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=INFO",
    ]
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": kubeconfig}
    with log.open("ab") as output:
        process = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
    try:
        yield Traefik(port)
    finally:
        process.terminate()
        process.wait()


def _object(kind: str, name: str, namespace: str | None, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


def as_list(objects: Sequence[dict[str, Any]]) -> str:
    """For kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
