"""Which cluster the story plays on: the local one of `make cluster-up`, or an existing one.

An existing cluster, named by KUBECONFIG, is used when LLM_IMAGE_REGISTRY says where its nodes can
pull the images from.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.images import Images
from demo.kubectl import Kubectl
from demo.story import Stage

ROOT = Path(__file__).resolve().parent.parent
LOCAL_REGISTRY = "10.96.0.50"  # the nodes' containerd maps the registry's name to it


def prepare() -> Stage:
    """Starts the cluster where it is ours, builds the images and brings them to the nodes."""
    existing = existing_registry(os.environ)
    if existing:
        plain = ["--plain-http"] if os.environ.get("LLM_IMAGE_REGISTRY_PLAIN_HTTP") else []
        _make([str(ROOT / "scripts" / "images"), "--push", existing, *plain])
        return Stage(Kubectl({}), Images.read())
    _cluster("up", "--metrics")
    _make([str(ROOT / "scripts" / "images")])
    images = Images.read()
    _cluster("load", *(str(path) for path in images.archives))
    return Stage(Kubectl(local_environment()), images, registry_address=LOCAL_REGISTRY)


def existing_registry(environment: Mapping[str, str]) -> str:
    """The registry of an existing cluster; empty means the local cluster."""
    return environment.get("LLM_IMAGE_REGISTRY", "")


def take_down() -> None:
    """Removes the local cluster without a trace."""
    _cluster("down")


def local_environment() -> Mapping[str, str]:
    """KUBECONFIG and PATH of the local cluster, as `make cluster-env` prints them."""
    printed = subprocess.run(
        _cluster_command("env"),
        env=_cluster_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pairs = (shlex.split(line)[1].split("=", 1) for line in printed.splitlines() if line)
    return {name: os.path.expandvars(value) for name, value in pairs}


def _cluster(*arguments: str) -> None:
    _make(_cluster_command(*arguments), _cluster_environment())


def _cluster_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "llm_cluster", *arguments]


def _cluster_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "cluster")}


def _make(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    """Runs a step that shows its own progress; its failure ends the story with its own words."""
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"{Path(command[0]).name} failed with exit code {done.returncode}, see above"
        )
