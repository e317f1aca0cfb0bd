"""Builds the pinned programs into the user's cache, each group once per digest of its pins."""

import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_cluster import pins
from llm_cluster.command import run
from llm_cluster.progress import Progress
from llm_cluster.toolchain import find_go

_BUILD_SECONDS = 3600.0
_SCRATCH = ".building-"


def cache_folder() -> Path:
    """``llm-operator`` below the user's cache folder ($XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "llm-operator"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs of every group are, or will be once built."""

    folders: dict[str, Path]

    def path(self, group: str, name: str | None = None) -> Path:
        """A program or data file of a group; the program called like the group by default."""
        return self.folders[group] / (name or group)

    def digests(self) -> dict[str, str]:
        """Group name to the digest of its pins."""
        return {name: folder.name for name, folder in self.folders.items()}


def programs(cache: Path) -> Programs:
    """The places of all groups below ``cache``, whether built already or not."""
    here = f"linux/{platform.machine()}"
    folders = {}
    for spec in pins.GROUPS:
        files = pins.pinned_files(pins.MODULES / spec.name)
        folders[spec.name] = cache / "bin" / spec.name / pins.digest(spec, files, here)
    return Programs(folders)


def build(wanted: Programs, cache: Path, progress: Progress, names: set[str]) -> None:
    """Builds those groups of ``names`` that are not in the cache yet, one after the other."""
    missing = [spec for spec in pins.GROUPS if spec.name in names]
    missing = [spec for spec in missing if not wanted.folders[spec.name].is_dir()]
    if not missing:
        return
    with _one_builder(cache):
        todo = [spec for spec in missing if not wanted.folders[spec.name].is_dir()]
        texts = [(pins.MODULES / spec.name / "go.mod").read_text() for spec in missing]
        go = find_go(pins.needed_go(texts), cache, progress)
        for number, spec in enumerate(todo, start=1):
            with progress.step(f"building {spec.name} ({number} of {len(todo)})"):
                _build_group(go, spec, wanted.folders[spec.name])


@contextmanager
def _one_builder(cache: Path) -> Iterator[None]:
    """Two builds of one user wait for each other instead of doing the work twice."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_group(go: Path, spec: pins.Group, target: Path) -> None:
    """Builds next to ``target`` and renames, so that a killed build leaves nothing half done.

    What a killed build has left, gigabytes of Go's cache, goes first; the lock is held.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in target.parent.glob(f"{_SCRATCH}*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_SCRATCH) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        env = _go_environment(Path(scratch) / "cache")
        _build_binaries(go, spec, out, env)
        _copy_data(go, spec, out)
        out.rename(target)


def _go_environment(cache: Path) -> dict[str, str]:
    """Go's build cache grows by gigabytes for each group, so each gets one that goes again."""
    return {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOCACHE": str(cache)}


def _build_binaries(go: Path, spec: pins.Group, out: Path, env: dict[str, str]) -> None:
    """One call for the whole group, so that packages and links share the processors."""
    if not spec.binaries:
        return
    module = pins.MODULES / spec.name
    version = pins.version_of(spec.module, (module / "go.mod").read_text())
    flags = [*pins.FLAGS, "-ldflags", pins.link_flags(spec, version), "-o", f"{out}/"]
    packages = [binary.package for binary in spec.binaries]
    argv = ["nice", "-n", "10", str(go), "build", *flags, *packages]
    run(argv, cwd=module, env=env, timeout=_BUILD_SECONDS)
    for binary in spec.binaries:
        (out / pins.output_name(binary.package, spec.name)).rename(out / binary.name)


def _copy_data(go: Path, spec: pins.Group, out: Path) -> None:
    """Files of the group's dependency, which Go has fetched and compared with go.sum."""
    if not spec.data:
        return
    module, env = pins.MODULES / spec.name, {"GOFLAGS": "", "GOTOOLCHAIN": "local"}
    run([go, "mod", "download", spec.module], cwd=module, env=env, timeout=_BUILD_SECONDS)
    listing: list[str | Path] = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", spec.module]
    source = Path(run(listing, cwd=module, env=env).strip())
    for name, path in spec.data:
        shutil.copyfile(source / path, out / name)
