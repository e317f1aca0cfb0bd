"""The cluster's own folder in every cgroup hierarchy, versions 1 and 2.

Each kubelet removes pod folders that it does not know, so each node gets a folder of its own.
"""

import errno
from functools import partial
from pathlib import Path

from llm_cluster.errors import ClusterError
from llm_cluster.waiting import wait_until

_V2_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


def is_unified(root: Path) -> bool:
    """Whether ``root`` (/sys/fs/cgroup) is the single hierarchy of cgroup version 2."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path) -> list[Path]:
    """The mount points to make folders in: the root itself, or one for each v1 controller."""
    if is_unified(root):
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def create(root: Path, cgroup: str, children: list[str]) -> None:
    """Makes ``cgroup`` with ``children`` below it everywhere, ready to hold processes."""
    for hierarchy in hierarchies(root):
        top = hierarchy / cgroup
        for folder in (top, *(top / child for child in children)):
            folder.mkdir(exist_ok=True)
            _prepare(folder)
    if is_unified(root):
        _delegate(root)
        _delegate(root / cgroup)


def _prepare(folder: Path) -> None:
    """A v1 cpuset folder takes no process before its processors and memory nodes are named."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source = folder.parent / name
        if source.exists() and (folder.parent / "cgroup.clone_children").exists():
            (folder / name).write_text(source.read_text())


def _delegate(folder: Path) -> None:
    """Hands version 2's controllers down to the folders below."""
    there = (folder / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{name}" for name in _V2_CONTROLLERS if name in there)
    try:
        (folder / "cgroup.subtree_control").write_text(wanted)
    except OSError as refused:
        if refused.errno != errno.EBUSY:
            raise
        raise ClusterError(
            f"{folder} holds processes, so cgroup version 2 hands no controllers down: run this "
            "on a machine (or in a container) whose processes live in a cgroup below the root"
        ) from refused


def existing(root: Path, cgroup: str) -> list[Path]:
    """Where ``cgroup`` exists."""
    return [path / cgroup for path in hierarchies(root) if (path / cgroup).is_dir()]


def remove(root: Path, cgroup: str) -> None:
    """Removes ``cgroup`` and all below it, everywhere; its processes must be gone."""
    for top in existing(root, cgroup):
        folders = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, top):
            wait_until(f"emptying {folder}", partial(_removed, folder), 10.0)


def _removed(folder: Path) -> bool:
    """The kernel keeps a folder busy for a moment after its last process has ended."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as refused:
        if refused.errno == errno.EBUSY:
            return False
        raise
    return True
