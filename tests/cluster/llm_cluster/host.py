"""What the machine must offer: root, Linux features and programs from the system's packages."""

import os
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llm_cluster.command import run
from llm_cluster.containerd import CNI_PLUGINS, RUNC
from llm_cluster.control_plane import ETCD_PEER_PORT, ETCD_PORT
from llm_cluster.errors import ClusterError
from llm_cluster.layout import Layout
from llm_cluster.progress import Progress


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package and the file or program that shows it is there."""

    name: str
    provides: str

    def is_missing(self) -> bool:
        """Whether what it provides is absent."""
        if self.provides.startswith("/"):
            return not Path(self.provides).exists()
        return shutil.which(self.provides) is None


PACKAGES = (
    Package("runc", RUNC),
    Package("containernetworking-plugins", f"{CNI_PLUGINS}/bridge"),
    Package("iptables", "iptables-save"),
    Package("nftables", "nft"),
    Package("iproute2", "ip"),
    Package("mount", "umount"),
)


def install_packages(packages: Iterable[Package], progress: Progress) -> None:
    """Installs what is missing with apt-get and says so; ClusterError without apt-get."""
    missing = [package.name for package in packages if package.is_missing()]
    if not missing:
        return
    names = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise ClusterError(f"these are missing and there is no apt-get to install them: {names}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing from the system's packages: {names}"):
        run(["apt-get", "update", "-qq"], env=quiet, timeout=300)
        options = ["-y", "-qq", "--no-install-recommends"]
        run(["apt-get", "install", *options, *missing], env=quiet, timeout=600)


def check(layout: Layout) -> None:
    """Raises ClusterError naming what the machine lacks and what to do."""
    if os.geteuid() != 0:
        raise ClusterError(
            "the local cluster needs root (network, mounts, cgroups): run it as root, or set "
            "KUBECONFIG to an existing cluster (see tests/cluster/README.md)"
        )
    if not layout.cgroups.is_dir() or not any(layout.cgroups.iterdir()):
        raise ClusterError(f"no cgroups below {layout.cgroups}: mount them, or use another machine")
    filesystems = Path("/proc/filesystems").read_text()
    if "overlay" not in filesystems.split():
        raise ClusterError("the kernel offers no overlay filesystem, which images need")


def check_ports(layout: Layout) -> None:
    """Raises ClusterError naming a port in use that the cluster needs."""
    for host, port, part in _ports(layout):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as taken:
                raise ClusterError(
                    f"port {port} on {host} is in use, which the {part} needs: stop what holds it "
                    "(another Kubernetes?), or set KUBECONFIG to an existing cluster"
                ) from taken


def _ports(layout: Layout) -> list[tuple[str, int, str]]:
    fixed = [
        (ETCD_PORT, "etcd"),
        (ETCD_PEER_PORT, "etcd"),
        (10257, "controller manager"),
        (10259, "scheduler"),
        (10249, "kube-proxy"),
        (10256, "kube-proxy"),
    ]
    ports = [("127.0.0.1", port, part) for port, part in fixed]
    return ports + [("127.0.0.1", node.healthz_port, node.name) for node in layout.nodes]
