"""What the machine must offer to build images: root, buildah and debootstrap."""

import os

from llm_cluster.errors import ClusterError
from llm_cluster.host import Package, install_packages
from llm_cluster.progress import Progress

PACKAGES = (Package("buildah", "buildah"), Package("debootstrap", "debootstrap"))


def prepare(progress: Progress) -> None:
    """Installs what is missing and says so; ClusterError when that is not possible."""
    if os.geteuid() != 0:
        raise ClusterError(
            "building images needs root (debootstrap, mounts): run this as root, or build them "
            "with docker (see the first lines of Dockerfile.operator and Dockerfile.runtime)"
        )
    install_packages(PACKAGES, progress)
