"""A real API server with the CRD, and kubectl on it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.api_server import ApiServer, running_api_server
from support.programs import built

CRD = Path(__file__).resolve().parents[3] / "crds" / "llmdeployments.yaml"
NAMESPACE = "crd-test"


@dataclass(frozen=True, slots=True)
class Answer:
    """What kubectl said."""

    is_ok: bool
    text: str

    @property
    def json(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.text)
        return loaded


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The kubectl of the local cluster's pins, as an administrator of the test's API server."""

    server: ApiServer
    program: Path

    def __call__(self, *arguments: str, given: object | None = None) -> Answer:
        argv = [
            str(self.program),
            f"--kubeconfig={self.server.kubeconfig}",
            f"--cache-dir={self.server.folder}/kubectl-cache",
            f"--namespace={NAMESPACE}",
            *arguments,
        ]
        text = None if given is None else json.dumps(given)
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60)
        return Answer(done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr)

    def must(self, *arguments: str, given: object | None = None) -> Answer:
        """The same, where anything but success ends the test."""
        answer = self(*arguments, given=given)
        assert answer.is_ok, answer.text
        return answer


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl on an API server that has the CRD, GRPCRoutes and a namespace that enforces
    *restricted*."""
    with running_api_server(tmp_path_factory.mktemp("crd")) as server:
        wanted = built("kubernetes", "gateway-api")
        found = Kubectl(server, wanted.path("kubernetes", "kubectl"))
        found.must("apply", "-f", str(CRD))  # on the client's side, as users do
        found.must("create", "-f", str(wanted.path("gateway-api", "grpcroutes.yaml")))
        found.must("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": NAMESPACE, "labels": labels}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        found.must("create", "-f", "-", given=namespace)
        yield found
