"""A pod's processes and its share of the CPU, on the machine that its node is."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


class NotHereError(Exception):
    """The pod's node is not this machine."""


@contextmanager
def slowed(uid: str, part: float) -> Iterator[None]:
    """The pod's containers have this part of their CPU limits during the block."""
    before = {quota: quota.read_text().strip() for quota in _quotas(uid)}
    for quota, limit in before.items():
        first, *rest = limit.split()
        quota.write_text(" ".join([str(int(int(first) * part)), *rest]))
    try:
        yield
    finally:
        for quota, limit in before.items():
            if quota.exists():
                quota.write_text(limit)


def kill(uid: str, program: bytes) -> None:
    """Kills the pod's process with that word in its command line, as a crash would."""
    for folder in _folders(uid):
        for path in folder.rglob("cgroup.procs"):
            for pid in map(int, path.read_text().split()):
                if program in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
                    return
    raise NotHereError(f"no process of pod {uid} is here")


def _quotas(uid: str) -> list[Path]:
    """Of each container with a limit: cpu.max, or cpu.cfs_quota_us of cgroup version 1. The pod's
    own may not be less than theirs."""
    found = [
        path
        for folder in _folders(uid)
        for name in ("cpu.max", "cpu.cfs_quota_us")
        for path in folder.glob(f"*/{name}")
        if path.read_text().split()[0] not in ("max", "-1")
    ]
    if not found:
        raise NotHereError(f"pod {uid} has no container with a CPU limit here")
    return found


def _folders(uid: str) -> Iterator[Path]:
    for name in (f"*pod{uid}*", f"*pod{uid.replace('-', '_')}*"):
        yield from (path for path in ROOT.rglob(name) if path.is_dir())
