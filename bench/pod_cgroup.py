"""A pod's processes and its share of the CPU, on the machine that its node is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class NotHereError(Exception):
    """The pod's node is not this machine."""


@contextmanager
def slowed(uid: str, part: float) -> Iterator[None]:
    """The pod has this part of its CPU limit during the block."""
    quota = _quota(uid)
    before = quota.read_text()
    first, *rest = before.split()
    quota.write_text(" ".join([str(int(int(first) * part)), *rest]))
    try:
        yield
    finally:
        if quota.exists():
            quota.write_text(before.strip())


def kill_runtime(uid: str) -> None:
    """Kills the pod's runtime as a crash would."""
    for folder in _folders(uid):
        for path in folder.rglob("cgroup.procs"):
            for pid in map(int, path.read_text().split()):
                if b"llm-runtime" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    kill(pid, signal.SIGKILL)
                    return
    raise NotHereError(f"no process of pod {uid} is here")


def _quota(uid: str) -> Path:
    """Of the pod as a whole: cpu.max, or cpu.cfs_quota_us of cgroup version 1."""
    for folder in _folders(uid):
        for name in ("cpu.max", "cpu.cfs_quota_us"):
            if (folder / name).exists():
                return folder / name
    raise NotHereError(f"pod {uid} has no CPU limit here")


def _folders(uid: str) -> Iterator[Path]:
    for name in (f"*pod{uid}*", f"*pod{uid.replace('-', '_')}*"):
        yield from (path for path in ROOT.rglob(name) if path.is_dir())
