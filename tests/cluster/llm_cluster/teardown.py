"""Takes a cluster, or what a killed run has left of one, off the machine without a trace."""

import shutil
from pathlib import Path

from llm_cluster import cgroups, iptables, mounts, network, process, record, sysctls
from llm_cluster.layout import CGROUP, ENVIRONMENT_MARK, Layout
from llm_cluster.process import Identity
from llm_cluster.record import Record

_SHARED = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/containers",
    "/var/log/pods",
    "/run/containerd",
)
"""Folders that the parts use whatever they are told, and other software may use too."""


def absent_shared_folders() -> tuple[str, ...]:
    """Those shared folders that do not exist now, hence may go again afterwards."""
    return tuple(folder for folder in _SHARED if not Path(folder).exists())


def leftovers(layout: Layout) -> tuple[str, ...]:
    """What is here of a cluster, in words; empty on a clean machine."""
    processes = process.marked(ENVIRONMENT_MARK, CGROUP)
    mounted = mounts.present([layout.run, layout.data])
    folders = [str(path) for path in (layout.run, layout.data) if path.exists()]
    groups = cgroups.existing(layout.cgroups, CGROUP)
    return (
        *((f"{len(processes)} processes",) if processes else ()),
        *((f"{len(mounted)} mounts",) if mounted else ()),
        *(f"bridge {name}" for name in network.existing_bridges(layout)),
        *((f"{len(groups)} cgroups",) if groups else ()),
        *(f"folder {folder}" for folder in folders),
    )


def remove(layout: Layout, known: Record | None) -> None:
    """Ends and removes everything of the cluster; the record goes last.

    Safe on a half-made or half-removed cluster, and without a record.
    """
    _end_processes(known)
    mounts.remove_all([layout.run, layout.data])
    network.remove(layout)
    iptables.remove_all()
    if known is not None:
        iptables.remove_empty_tables(known.tables)
    cgroups.remove(layout.cgroups, CGROUP)
    if known is not None and known.boot == process.boot_id():
        sysctls.restore(known.sysctls)
    _remove_folder(layout.data)
    _remove_shared(layout, known.created if known else ())
    for entry in _entries(layout.run):
        if entry != record.path(layout.run):
            _remove_folder(entry)
    _remove_folder(layout.run)


def _end_processes(known: Record | None) -> None:
    """The recorded ones first: nothing may start containers again while they are ended."""
    killed: list[Identity] = []
    if known is not None and known.boot == process.boot_id():
        killed += [running.identity for running in known.processes.values()]
        process.kill(killed)
    while found := process.marked(ENVIRONMENT_MARK, CGROUP):
        process.kill(found)
        killed += found
    process.wait_reaped(killed)


def _remove_shared(layout: Layout, created: tuple[str, ...]) -> None:
    """Takes our entries out of shared folders; folders that we created go if nothing is left."""
    for node in layout.nodes:
        for result in Path("/var/lib/cni/results").glob(f"llm-operator-{node.name}-*"):
            result.unlink(missing_ok=True)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
    if "/var/lib/kubelet" in created:
        _remove_folder(Path("/var/lib/kubelet/device-plugins"))
    for folder in created:
        _remove_empty(Path(folder))


def _remove_empty(folder: Path) -> None:
    """Removes ``folder`` if it holds nothing but empty folders."""
    entries = list(folder.rglob("*")) if folder.is_dir() else []
    if any(not entry.is_dir() for entry in entries):
        return
    _remove_folder(folder)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _remove_folder(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
