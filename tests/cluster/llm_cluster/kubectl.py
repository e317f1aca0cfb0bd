"""The few kubectl calls that the cluster itself needs."""

import json
from dataclasses import dataclass
from pathlib import Path

from llm_cluster.command import run
from llm_cluster.errors import CommandError


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A kubectl program and the cluster it talks to."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """Standard output; raises CommandError."""
        argv: list[str | Path] = [self.program, f"--kubeconfig={self.kubeconfig}", *arguments]
        return run(argv, stdin=stdin, timeout=timeout)

    def apply(self, manifest: str) -> None:
        """Server-side apply, so that applying again changes nothing."""
        options = ("--server-side", "--force-conflicts", "--field-manager=llm-operator-cluster")
        self("apply", *options, "-f", "-", stdin=manifest)

    def try_raw(self, path: str) -> str | None:
        """What the API answers to a GET of ``path``; None when it refuses or is away."""
        try:
            return self("--request-timeout=5s", "get", f"--raw={path}")
        except CommandError:
            return None

    def is_ready(self) -> bool:
        """Whether the API server answers and says it is ready."""
        return self.try_raw("/readyz") is not None

    def ready_nodes(self) -> list[str]:
        """Names of the nodes whose Ready condition is True."""
        items = json.loads(self("get", "nodes", "-o", "json"))["items"]
        return [item["metadata"]["name"] for item in items if _is_ready(item)]


def _is_ready(item: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    conditions = item["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
