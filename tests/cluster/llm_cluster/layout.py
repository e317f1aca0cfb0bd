"""Where the cluster lives on the machine: fixed folders, addresses and names.

All are fixed because a machine can run only one such cluster (bridges, routes and iptables chains
are shared), so any checkout finds what another one, or a killed run, has left.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SERVICE_NETWORK = "10.96.0.0/16"
POD_NETWORK = "10.244.0.0/16"
KWOK_POD_NETWORK = "10.244.128.0/17"  # every address of it is this machine
API_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
CGROUP = "llm-operator-cluster"
ENVIRONMENT_MARK = "LLM_OPERATOR_CLUSTER"
"""Every process we start carries this variable with the process's name as value (containerd's
shims inherit it), so that what a killed run has left is recognised."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A plain-HTTP registry that both nodes can pull from: its name and Service address."""

    host: str
    address: str


REGISTRIES = (
    Registry("registry.kube-system.svc:5000", "10.96.0.51:5000"),
    Registry("llm-operator-registry.llm-system.svc:5000", "10.96.0.50:5000"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its own bridge, pod network, container runtime, kubelet and cgroup folder."""

    name: str
    bridge: str
    address: str
    pod_network: str
    healthz_port: int
    run: Path
    data: Path

    @property
    def containerd_socket(self) -> Path:
        """Where this node's containerd listens."""
        return self.run / "containerd.sock"

    @property
    def kubelet_root(self) -> Path:
        """The kubelet's --root-dir."""
        return self.data / "kubelet"

    @property
    def cgroup(self) -> str:
        """The kubelet's cgroupRoot, below every hierarchy's mount point."""
        return f"/{CGROUP}/{self.name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """``run`` holds sockets and the record and is short; ``data`` holds images and volumes."""

    run: Path
    data: Path
    lock: Path
    cgroups: Path

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.data / "pki"

    @property
    def config(self) -> Path:
        """Rendered configuration files."""
        return self.data / "config"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.data / "logs"

    @property
    def kubeconfig(self) -> Path:
        """What users put into KUBECONFIG: complete in itself, cluster administrator."""
        return self.run / "kubeconfig"

    @property
    def tools(self) -> Path:
        """kubectl, helm, grpcurl and ctr: what users put into PATH."""
        return self.run / "bin"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Both nodes, node1 first; the control plane listens on node1's address."""
        return tuple(
            Node(
                name=f"node{index + 1}",
                bridge=f"llmbr{index}",
                address=f"10.244.{index}.1",
                pod_network=f"10.244.{index}.0/24",
                healthz_port=10248 + 10 * index,
                run=self.run / f"node{index + 1}",
                data=self.data / f"node{index + 1}",
            )
            for index in range(2)
        )

    @property
    def api_url(self) -> str:
        """The API server's address: node1's bridge, so that nothing listens to the outside."""
        return f"https://{self.nodes[0].address}:6443"


def machine_layout() -> Layout:
    """The one layout of this machine."""
    name = "llm-operator-cluster"
    return Layout(
        run=Path("/run") / name,
        data=Path("/var/lib") / name,
        lock=Path("/run") / f"{name}.lock",
        cgroups=Path("/sys/fs/cgroup"),
    )


def node_named(layout: Layout, name: str) -> Node:
    """The node of that name; KeyError when there is none."""
    return {node.name: node for node in layout.nodes}[name]


def checkout() -> Path:
    """The top folder of the working tree this package lies in."""
    return Path(__file__).resolve().parents[3]


def is_ci() -> bool:
    """Whether a CI system runs us, by the variable that all of them set."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}
