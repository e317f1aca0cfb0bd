"""What the machine must offer to build images: root, buildah and debootstrap."""

import os
import shutil

from llm_cluster.command import run
from llm_cluster.errors import ClusterError
from llm_cluster.progress import Progress

PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""Program -> the Debian package that brings it."""


def prepare(progress: Progress) -> None:
    """Installs what is missing and says so; ClusterError when that is not possible."""
    if os.geteuid() != 0:
        raise ClusterError(
            "building images needs root (debootstrap, mounts): run this as root, or build them "
            "with docker (see the first lines of Dockerfile.operator and Dockerfile.runtime)"
        )
    missing = sorted({PROGRAMS[name] for name in PROGRAMS if shutil.which(name) is None})
    if missing:
        _install(missing, progress)


def _install(packages: list[str], progress: Progress) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ClusterError(f"these are missing and there is no apt-get to install them: {names}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing from the system's packages: {names}"):
        run(["apt-get", "update", "-qq"], env=quiet, timeout=300)
        options = ["-y", "-qq", "--no-install-recommends"]
        run(["apt-get", "install", *options, *packages], env=quiet, timeout=600)
