"""Room for bytes: free disk space and memory limits, asked for before anything large starts."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llm_runtime.errors import ModelError, Reason

# A file system wants some room for its own records.
_DISK_MARGIN = 1.05
_MEMORY_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# cgroup v1 writes "no limit" as a number near 2^63.
_NO_LIMIT = 1 << 60


def require_disk(directory: Path, needed: int) -> None:
    """ModelError(NoSpace) unless ``needed`` bytes and a margin are free where ``directory`` is."""
    free = shutil.disk_usage(directory).free
    wanted = int(needed * _DISK_MARGIN)
    if wanted > free:
        raise ModelError(
            Reason.NO_SPACE,
            f"{directory} has {shown(free)} free, {shown(wanted)} are needed; give the volume more"
            " room (its sizeLimit, or the node's disk)",
        )


@contextmanager
def full_disk_is_no_space(directory: Path) -> Iterator[None]:
    """Turns a full disk or quota inside the block into ModelError(NoSpace)."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ModelError(
            Reason.NO_SPACE,
            f"{directory} ran full while writing; give the volume more room (its sizeLimit, or the"
            " node's disk)",
        ) from error


def require_memory(needed: int, limit: int | None, what: str) -> None:
    """ModelError(InsufficientMemory) when ``needed`` bytes are over ``limit`` (None: no limit)."""
    if limit is not None and needed > limit:
        raise ModelError(
            Reason.INSUFFICIENT_MEMORY,
            f"{what} needs about {shown(needed)} of memory, the container's limit is"
            f" {shown(limit)}; raise the memory limit to at least {shown(needed)}",
        )


def memory_limit(configured: int | None) -> int | None:
    """The smaller of the ``configured`` limit and the control group's, in bytes; None without."""
    limits = [limit for path in _MEMORY_FILES if (limit := _read_limit(path)) is not None]
    limits += [configured] if configured else []
    return min(limits, default=None)


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def shown(size: int) -> str:
    """Bytes for people: 512 MiB, 1.5 GiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
