"""Renders the chart with the real Helm."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "charts" / "llm-operator"
Manifest = dict[str, Any]


class RefusedError(Exception):
    """Helm did not render; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """The helm program, and the chart that it renders."""

    program: Path
    chart: Path = CHART

    def text(self, values: Mapping[str, Any], *, release: str = "llm-operator") -> str:
        """The manifests as Helm prints them. Raises RefusedError."""
        command = [
            str(self.program),
            "template",
            release,
            str(self.chart),
            "--namespace",
            "llm-system",
        ]
        done = subprocess.run(
            [*command, "--namespace", "llm-system", "--values", "-"],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise RefusedError(done.stderr)
        return done.stdout

    def objects(self, values: Mapping[str, Any], *, release: str = "llm-operator") -> "Objects":
        """The manifests. Raises RefusedError."""
        return Objects(parsed(self.text(values, release=release)))


@dataclass(frozen=True, slots=True)
class Objects:
    """Rendered objects."""

    all: list[Manifest]

    def of(self, kind: str) -> list[Manifest]:
        """Those of a kind."""
        return [manifest for manifest in self.all if manifest["kind"] == kind]

    def named(self, kind: str, name: str) -> Manifest:
        """One of them. Raises LookupError when there is none."""
        for manifest in self.of(kind):
            if manifest["metadata"]["name"] == name:
                return manifest
        raise LookupError(f"no {kind} {name}")

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """Name and pod template of every workload."""
        for manifest in self.of("Deployment"):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]

    def rules(self) -> Iterator[Manifest]:
        """Every rule of the operator's own roles, those for users apart."""
        for manifest in (*self.of("Role"), *self.of("ClusterRole")):
            if not manifest["metadata"]["name"].endswith(("-view", "-edit")):
                yield from manifest["rules"]


def parsed(text: str) -> list[Manifest]:
    """The objects of a YAML stream."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]
