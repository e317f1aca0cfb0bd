"""The whole cluster as a value: every file it reads and every process it runs. Pure.

Its fingerprint tells whether a running cluster is the one this checkout would start: the command
lines name the programs by the digest of their pins.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from llm_cluster import containerd, control_plane, kubeconfig, kubelet
from llm_cluster.build import Programs
from llm_cluster.layout import KWOK_POD_NETWORK, Layout, Node

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PARTS = ("controller-manager", "scheduler", "proxy", "kwok", "node1", "node2")
KWOK_ANNOTATION = "kwok.x-k8s.io/node=fake"


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start: its command line and PATH."""

    argv: tuple[str, ...]
    path: str = _SYSTEM_PATH


@dataclass(frozen=True, slots=True)
class Blueprint:
    """``files`` maps a path to its text, ``commands`` a process name to what runs."""

    files: dict[str, str]
    commands: dict[str, Command]
    manifests: dict[str, str]


def draw(layout: Layout, programs: Programs, manifests: dict[str, str]) -> Blueprint:
    """The cluster that ``programs`` and ``manifests`` (name to YAML) give on ``layout``."""
    files = containerd.registry_files(layout)
    for part in _PARTS:
        files[f"{layout.config}/{part}.kubeconfig"] = kubeconfig.for_part(layout, part)
    commands = _control_plane(layout, programs)
    for node in layout.nodes:
        files |= containerd.files(layout, node)
        files[f"{node.data}/kubelet.yaml"] = kubelet.config(layout, node)
        commands |= _node(layout, node, programs)
    return Blueprint(files, commands | _kwok(layout, programs), manifests)


def fingerprint(blueprint: Blueprint, cache: Path) -> str:
    """16 hex digits that are equal for equal clusters, whoever's cache the programs lie in."""
    document = {
        "files": blueprint.files,
        "commands": {name: [c.argv, c.path] for name, c in blueprint.commands.items()},
        "manifests": blueprint.manifests,
    }
    text = json.dumps(document, sort_keys=True).replace(str(cache), "$CACHE")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _control_plane(layout: Layout, programs: Programs) -> dict[str, Command]:
    def kubernetes(name: str, arguments: list[str]) -> Command:
        return Command((str(programs.path("kubernetes", name)), *arguments))

    return {
        "etcd": Command((str(programs.path("etcd")), *control_plane.etcd(layout))),
        "kube-apiserver": kubernetes("kube-apiserver", control_plane.api_server(layout)),
        "kube-controller-manager": kubernetes(
            "kube-controller-manager", control_plane.controller_manager(layout)
        ),
        "kube-scheduler": kubernetes("kube-scheduler", control_plane.scheduler(layout)),
        "kube-proxy": kubernetes("kube-proxy", control_plane.proxy(layout)),
    }


def _node(layout: Layout, node: Node, programs: Programs) -> dict[str, Command]:
    """containerd finds its own shim first in PATH: another version's fails to start."""
    runtime = programs.path("containerd")
    path = f"{runtime.parent}:{_SYSTEM_PATH}"
    agent = str(programs.path("kubernetes", "kubelet"))
    return {
        f"containerd-{node.name}": Command(
            (str(runtime), "--config", f"{node.data}/containerd.toml"), path
        ),
        f"kubelet-{node.name}": Command((agent, *kubelet.arguments(layout, node)), path),
    }


def _kwok(layout: Layout, programs: Programs) -> dict[str, Command]:
    """KWOK keeps its hands off the real nodes: it only manages those with the annotation."""
    folder = programs.folders["kwok"]
    stages = (
        "node-initialize.yaml",
        "node-heartbeat-with-lease.yaml",
        "pod-ready.yaml",
        "pod-complete.yaml",
        "pod-delete.yaml",
    )
    argv = (
        str(folder / "kwok"),
        f"--kubeconfig={layout.config}/kwok.kubeconfig",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={KWOK_ANNOTATION}",
        f"--cidr={KWOK_POD_NETWORK}",
        f"--node-ip={layout.nodes[0].address}",
        "--node-lease-duration-seconds=40",
        *(f"--config={folder / stage}" for stage in stages),
    )
    return {"kwok": Command(argv)}
