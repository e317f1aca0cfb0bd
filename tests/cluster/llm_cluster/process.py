"""Starts long-lived processes and ends them by identity: process id and start time.

A process id alone is not an identity, since the kernel hands it out again; with the start time
(clock ticks since boot) and the boot id it is.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_cluster.errors import ClusterError

_PROC = Path("/proc")
_GONE_SECONDS = 20.0
_REAPED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """One process of this boot: its id and its start, in clock ticks since boot."""

    pid: int
    start: int


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start time from a line of /proc/PID/stat.

    The program's name stands in parentheses and may hold spaces and parentheses itself.
    """
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def identify(pid: int) -> Identity | None:
    """The identity of a living process; None when it is gone or a zombie."""
    try:
        state, start = parse_stat((_PROC / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Identity(pid, start)


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs."""
    return identify(identity.pid) == identity


def boot_id() -> str:
    """Names this boot of the machine: identities of another boot mean nothing."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def spawn(argv: Iterable[str], log: Path, env: Mapping[str, str]) -> Identity:
    """Starts ``argv`` in a session of its own with exactly ``env``; its words go to ``log``."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    child.returncode = 0  # it outlives us by intent: no "still running" warning when collected
    identity = identify(child.pid)
    if identity is None:
        raise ClusterError(f"{next(iter(argv))} ended at once; its last words are in {log}")
    return identity


def kill(identities: Iterable[Identity]) -> None:
    """SIGKILL to those still alive, then waits until they are gone.

    Raises ClusterError naming the survivors after 20 s.
    """
    handles = {identity: _handle(identity) for identity in identities}
    opened = {identity: handle for identity, handle in handles.items() if handle is not None}
    try:
        for handle in opened.values():
            _signal(handle)
        stuck = [identity.pid for identity, handle in opened.items() if not _is_gone(handle)]
    finally:
        for handle in opened.values():
            os.close(handle)
    if stuck:
        raise ClusterError(f"processes {stuck} survive SIGKILL: look at them with ps -o stat,wchan")


def wait_reaped(identities: Iterable[Identity]) -> None:
    """Gives init, their parent, a moment to collect the killed, so that none shows up in ps.

    An init that never does so is not ours to mend: after 5 s they are left as they are.
    """
    deadline = time.monotonic() + _REAPED_SECONDS
    for identity in identities:
        while (_PROC / str(identity.pid)).exists() and time.monotonic() < deadline:
            time.sleep(0.02)


def _handle(identity: Identity) -> int | None:
    """A pidfd: it keeps meaning this process even when the id is handed out again."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    if is_alive(identity):
        return handle
    os.close(handle)
    return None


def _signal(handle: int) -> None:
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_gone(handle: int) -> bool:
    readable, _, _ = select.select([handle], [], [], _GONE_SECONDS)
    return bool(readable)


def marked(mark: str, cgroup: str) -> list[Identity]:
    """Processes that carry ``mark`` (see `is_marked`) or live in ``cgroup`` or below; never us."""
    found = []
    for pid in _pids():
        if pid != os.getpid() and _bears(pid, mark, cgroup):
            identity = identify(pid)
            if identity is not None:
                found.append(identity)
    return found


def _pids() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def _bears(pid: int, mark: str, cgroup: str) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
        groups = (_PROC / str(pid) / "cgroup").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return is_marked(environment, mark) or is_inside(groups, cgroup)


def is_marked(environment: bytes, mark: str) -> bool:
    """Whether an environment block (as in /proc/PID/environ) sets ``mark``.

    ``mark`` is a variable's name, or NAME=VALUE for that value only.
    """
    wanted = mark.encode()
    entries = environment.split(b"\0")
    return any(entry == wanted or entry.startswith(wanted + b"=") for entry in entries)


def is_inside(groups: str, cgroup: str) -> bool:
    """Whether a /proc/PID/cgroup text names ``cgroup`` (without leading /) or one below it."""
    paths = [line.split(":", 2)[-1] for line in groups.splitlines()]
    return any(path == f"/{cgroup}" or path.startswith(f"/{cgroup}/") for path in paths)
