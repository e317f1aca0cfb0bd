"""The cluster's own images, built FROM scratch, and importing archives into both nodes."""

import hashlib
import platform
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from llm_cluster import image_archive
from llm_cluster.build import Programs
from llm_cluster.command import run, succeeds
from llm_cluster.errors import ClusterError
from llm_cluster.image_archive import Contents
from llm_cluster.layout import Layout, Node
from llm_cluster.waiting import wait_until

PREFIX = "localhost/llm-operator-cluster"
_IMPORT_SECONDS = 600.0
_START_SECONDS = 90.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def program_image(programs: Programs, cache: Path, name: str) -> Path:
    """The archive with the program ``name`` and nothing else; written once per build of it."""
    folder = programs.folders[name]
    archive = cache / "cluster-images" / f"{name}-{folder.name}.tar"
    contents = Contents((f"/{name}",), files={name: folder / name}, empty=("tmp",))
    return _written(archive, name, contents)


def busybox_image(cache: Path) -> Path:
    """The archive of an image with a shell, from Debian's busybox-static, not installed here."""
    program = _busybox(cache)
    applets = run([program, "--list"]).split()
    contents = Contents(
        ("/bin/sh",),
        files={"bin/busybox": program},
        links={f"bin/{name}": "busybox" for name in applets if name != "busybox"},
        empty=("tmp",),
    )
    return _written(cache / "cluster-images" / "busybox.tar", "busybox", contents)


def _written(archive: Path, name: str, contents: Contents) -> Path:
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
        image_archive.write(archive, f"{PREFIX}/{name}:1", contents, architecture)
    return archive


def _busybox(cache: Path) -> Path:
    folder = cache / "cluster-images" / "busybox-static"
    program = folder / "root/bin/busybox"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "download", "-q", "busybox-static"], cwd=folder)
        for package in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", package, folder / "root"])
    return program


def wait_for_runtime(node: Node, ctr: Path) -> None:
    """Returns when the node's containerd answers; its socket alone may be a dead one's."""
    ask: list[str | Path] = [ctr, "--address", node.containerd_socket, "version"]
    wait_until(f"an answer of {node.name}'s containerd", partial(succeeds, ask), _START_SECONDS)


def load(layout: Layout, ctr: Path, archives: Iterable[Path]) -> None:
    """Imports image archives (docker-archive or OCI) into every node's containerd.

    What a node holds already from the very same file is not imported again. Raises ClusterError
    for a file that is not there.
    """
    paths = [path.resolve() for path in archives]
    for path in paths:
        if not path.is_file():
            raise ClusterError(f"there is no image archive {path}")
    with ThreadPoolExecutor(len(layout.nodes)) as pool:
        list(pool.map(lambda node: _import_all(node, ctr, paths), layout.nodes))


def _import_all(node: Node, ctr: Path, archives: list[Path]) -> None:
    at: list[str | Path] = [ctr, "--address", node.containerd_socket, "--namespace", "k8s.io"]
    held = set(run([*at, "images", "list", "--quiet"]).split())
    notes = node.run / "imported"
    notes.mkdir(exist_ok=True)
    for archive in archives:
        names = image_archive.references(archive)
        note = notes / _identity(archive)
        if not (names and names <= held and note.exists()):
            run([*at, "images", "import", "--local", archive], timeout=_IMPORT_SECONDS)
            note.touch()


def _identity(archive: Path) -> str:
    """Names a file as it is now: rewriting it gives another name."""
    stat = archive.stat()
    text = f"{archive} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
