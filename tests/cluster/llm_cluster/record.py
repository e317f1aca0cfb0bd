"""The running state: who started the cluster, from which pins, and what has to be undone.

It is written before anything is touched and removed last, so that a killed run is recognised.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from llm_cluster.errors import ClusterError
from llm_cluster.process import Identity, boot_id, is_alive

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Running:
    """A process of ours and all that is needed to start it again."""

    name: str
    identity: Identity
    argv: tuple[str, ...]
    env: dict[str, str]
    log: str


@dataclass(frozen=True, slots=True)
class Options:
    """What a cluster offers beyond the minimum. ``gpus`` is per node; None leaves it as it is."""

    gpus: int | None = None
    kwok: bool = False
    metrics: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster. ``complete`` is false until everything is ready.

    ``sysctls`` holds the settings as they were, ``tables`` the packet filter's tables that were
    there and ``created`` the shared folders that were not.
    """

    checkout: str
    fingerprint: str
    boot: str
    complete: bool = False
    options: Options = Options()
    sysctls: dict[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    processes: dict[str, Running] = field(default_factory=dict)

    def with_process(self, running: Running) -> "Record":
        """The same with one process added or replaced."""
        return replace(self, processes={**self.processes, running.name: running})


def path(run: Path) -> Path:
    """The record's file below the run folder."""
    return run / "record.json"


def save(run: Path, record: Record) -> None:
    """Writes the record at once or not at all."""
    run.mkdir(parents=True, exist_ok=True)
    draft = path(run).with_suffix(".draft")
    draft.write_text(json.dumps({"format": _FORMAT, **asdict(record)}, indent=1))
    draft.rename(path(run))


def load(run: Path) -> Record | None:
    """The record; None when there is none. Raises ClusterError on one that we cannot read."""
    try:
        text = path(run).read_text()
    except FileNotFoundError:
        return None
    return parse(text)


def parse(text: str) -> Record:
    """A record from its JSON. Raises ClusterError when another format or damaged."""
    try:
        document = json.loads(text)
        if document.pop("format") != _FORMAT:
            raise ValueError("another format")
        document["options"] = Options(**document["options"])
        for name in ("tables", "created"):
            document[name] = tuple(document[name])
        document["processes"] = {
            name: _running(value) for name, value in document["processes"].items()
        }
        return Record(**document)
    except (ValueError, TypeError, KeyError) as wrong:
        raise ClusterError(f"the record of the running cluster is unreadable: {wrong}") from wrong


def _running(value: dict[str, object]) -> Running:
    identity = value["identity"]
    argv, env = value["argv"], value["env"]
    if not isinstance(identity, dict) or not isinstance(argv, list) or not isinstance(env, dict):
        raise TypeError("a process entry has another shape")
    return Running(str(value["name"]), Identity(**identity), tuple(argv), env, str(value["log"]))


def dead_processes(record: Record) -> list[str]:
    """Names of the recorded processes that do not run any more; all of them after a reboot."""
    if record.boot != boot_id():
        return sorted(record.processes)
    return sorted(
        name for name, running in record.processes.items() if not is_alive(running.identity)
    )


@contextmanager
def machine_lock(lock: Path) -> Iterator[None]:
    """One ``up`` or ``down`` at a time on this machine; the lock's file goes when it is released.

    A waiter may have opened a file that its holder then removed, so it looks again.
    """
    while True:
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_current(lock, handle.fileno()):
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_current(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.stat())
    except FileNotFoundError:
        return False
