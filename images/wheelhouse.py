"""Folders of wheels whose hashes were checked against the locks, so that builds need no network."""

import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images.recipe import TOOLS_LOCK, Recipe, digest
from llm_cluster.command import run
from llm_cluster.progress import Progress

PYTHON = "3.11"
GLIBC_MINOR = 36
"""The base image's glibc is 2.36: wheels for a newer one would not load there."""
_SECONDS = 3600.0


def wheelhouse(recipe: Recipe, source: Path, cache: Path, progress: Progress) -> Path:
    """The wheels of a recipe's locks and of the tools that install them, downloaded once.

    ``source`` is the folder that the locks lie in.
    """
    locks = (TOOLS_LOCK, *recipe.wheels)
    folder = cache / "wheels" / digest([platform.machine(), PYTHON], locks, source)
    if not folder.is_dir():
        with progress.step(f"downloading the wheels of {', '.join(locks)}"):
            _download([source / lock for lock in locks], folder)
    return folder


def platforms(machine: str) -> list[str]:
    """pip's names of the platforms whose wheels run in the base image, best first."""
    modern = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC_MINOR, 4, -1)]
    legacy = [f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    return [*modern, *legacy, f"linux_{machine}"]


def _download(locks: Sequence[Path], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".loading-") as scratch:
        out = Path(scratch, "out")
        for lock in locks:
            run([*_pip(), "--dest", out, "-r", lock], timeout=_SECONDS)
        out.chmod(0o755)
        out.rename(folder)


def _pip() -> list[str]:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    checked = ["--require-hashes", "--no-deps", "--only-binary=:all:"]
    target = ["--python-version", PYTHON, "--implementation", "cp"]
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        target += ["--abi", abi]
    for name in platforms(platform.machine()):
        target += ["--platform", name]
    return [*pip, *checked, *target]
