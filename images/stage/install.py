"""Installs hash-locked packages, or a distribution of ours, into /opt/llm and keeps what was added
apart, so that each step is one layer of the image.

Runs in the build stage of the Dockerfiles. Packages come from the wheelhouse when one is mounted,
else from the package index; their hashes are checked in both cases.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ENVIRONMENT = Path("/opt/llm")
TOOLS = Path("/opt/build-tools")
UNUSED_FOLDERS = frozenset({"tests", "test", "include"})
UNUSED_SUFFIXES = frozenset({".pyi", ".pxd", ".a", ".h", ".c", ".pyx"})


def main() -> None:
    """Runs one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layer", type=Path, help="folder that receives what this step added")
    parser.add_argument("--tools", type=Path, help="lock of the tools that build and install")
    parser.add_argument("--lock", type=Path, help="hash-locked requirements to install")
    parser.add_argument("--wheels", type=Path, help="wheelhouse; the index is used when empty")
    parser.add_argument("--source", type=Path, action="append", default=[], help="distribution")
    arguments = parser.parse_args()
    source = _origin(arguments.wheels)
    before = set(_files())
    if arguments.tools:
        _make_tools(arguments.tools, source)
        _make_environment()
    if arguments.lock:
        _install(["--require-hashes", *source, "-r", str(arguments.lock)])
    if arguments.source:
        _install(["--no-index", *_wheels_of(arguments.source)])
    _prune(set(_files()) - before)
    _compile(set(_files()) - before)
    _keep(arguments.layer, set(_files()) - before)


def _origin(wheels: Path | None) -> list[str]:
    if wheels and any(wheels.glob("*.whl")):
        return ["--no-index", "--find-links", str(wheels)]
    return []


def _make_tools(lock: Path, source: Sequence[str]) -> None:
    run([sys.executable, "-m", "venv", TOOLS])
    pip: list[str | Path] = [
        TOOLS / "bin/pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    run([*pip, "install", "--require-hashes", *source, "-r", lock])


def _make_environment() -> None:
    run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", ENVIRONMENT])


def _install(arguments: Sequence[str]) -> None:
    uv: list[str | Path] = [
        TOOLS / "bin/uv",
        "--quiet",
        "--no-cache",
        "pip",
        "install",
        "--no-deps",
    ]
    target: list[str | Path] = ["--python", ENVIRONMENT / "bin/python", "--link-mode", "copy"]
    run([*uv, *target, *arguments])


def _wheels_of(sources: Sequence[Path]) -> list[str]:
    wheels = Path("/opt/wheels")
    pip: list[str | Path] = [
        TOOLS / "bin/pip",
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
    ]
    for source in sources:
        run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source])
    return sorted(str(path) for path in wheels.glob("*.whl"))


def _files() -> Iterator[Path]:
    for folder, _, names in os.walk(ENVIRONMENT):
        yield from (Path(folder, name) for name in names)


def _prune(added: set[Path]) -> None:
    for path in added:
        if is_unused(path.relative_to(ENVIRONMENT)):
            path.unlink()


def is_unused(path: Path) -> bool:
    """Whether a file of the environment is a test, a header, a type stub or a foreign program."""
    if path.name == ".lock":  # the installer's own
        return True
    if path.parts[0] == "bin":
        return not path.name.startswith(("python", "llm-"))
    in_unused_folder = any(part in UNUSED_FOLDERS for part in path.parts[:-1])
    return in_unused_folder or path.suffix in UNUSED_SUFFIXES


def _compile(added: set[Path]) -> None:
    """Bytecode that is never checked against its source: the files are read-only."""
    sources = "\n".join(sorted(str(path) for path in added if path.suffix == ".py"))
    options = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    run([ENVIRONMENT / "bin/python", "-m", "compileall", *options], stdin=sources)


def _keep(layer: Path, added: set[Path]) -> None:
    for path in sorted(added):
        target = layer / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)


def run(command: Sequence[str | Path], stdin: str = "") -> None:
    """Runs ``command`` to its end; its failure ends the build with its own words."""
    done = subprocess.run(command, input=stdin, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise SystemExit(f"exit status {done.returncode} of {command[0]}")


if __name__ == "__main__":
    main()
