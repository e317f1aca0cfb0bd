"""Fills an empty folder with what a Python process needs from this Debian system, and nothing else.

Runs in the build stage of the Dockerfiles, with the base image's own Python and no packages. The
interpreter, its standard library, the shared libraries that these load and the CA certificates are
copied; shell, package tools and compilers stay behind. For scanners, the Debian packages that the
files come from are listed under ``var/lib/dpkg/status.d``, as distroless images do.

The result depends on the base image alone, so that all images of one base share this layer.
"""

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

UNUSED = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data")
"""Parts of the standard library that no server imports."""

LOADED_LATER = (
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libresolv.so.2",
)
"""Libraries that compiled packages need although Python itself does not."""

SETTINGS = (
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/os-release",
    "/usr/lib/ssl/openssl.cnf",
)
ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/sbin/nologin\nllm:x:10001:10001:llm:/tmp:/sbin/nologin\n",
    "group": "root:x:0:\nllm:x:10001:\n",
}
_RESOLVED = re.compile(r"(?:=> )?(/\S+) \(0x")


def main() -> None:
    """Fills the root, or checks that the libraries below a folder find all they need in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--check", type=Path, help="folder whose shared libraries must load")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.root, arguments.check)
    else:
        fill(arguments.root)


def fill(root: Path) -> None:
    """Copies everything into ``root``."""
    _make_skeleton(root)
    copied = {*_interpreter(), *_standard_library(), *_settings()}
    copied |= set(needed_libraries([path for path in copied if _is_binary(path)]))
    copied |= {path for name in LOADED_LATER for path in _library(name)}
    for path in sorted(copied):
        _copy(root, path)
    _list_packages(root, copied)
    subprocess.run(["ldconfig", "-r", root], check=True)  # noqa: S603, S607


def check(root: Path, packages: Path) -> None:
    """Raises SystemExit naming each library that ``packages`` load and ``root`` lacks."""
    libraries = [path for path in packages.rglob("*.so*") if path.is_file()]
    own = packages.resolve()
    missing = {
        library
        for library in needed_libraries(libraries)
        if not library.is_relative_to(own) and not (root / library.relative_to("/")).exists()
    }
    if missing:
        names = ", ".join(str(path) for path in sorted(missing))
        raise SystemExit(f"{packages} loads what the image lacks, add it to rootfs.py: {names}")


def needed_libraries(binaries: Iterable[Path]) -> Iterator[Path]:
    """Shared libraries that the loader finds for ``binaries``, with every link on the way."""
    for binary in binaries:
        said = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)  # noqa: S603, S607
        for found in _RESOLVED.findall(said.stdout):
            yield from _with_links(Path(found))


def _make_skeleton(root: Path) -> None:
    for name in ("etc", "usr", "var/lib/dpkg/status.d", "root", "proc", "sys", "dev", "run"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name).chmod(0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            target = Path("/", name).readlink()
            (root / target).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)
    for name, text in ACCOUNTS.items():
        (root / "etc" / name).write_text(text)


def _interpreter() -> Iterator[Path]:
    folder = Path(sys.executable).parent
    for name in ("python3", f"python3.{sys.version_info.minor}"):
        yield from _with_links(folder / name)


def _standard_library() -> Iterator[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    for path in library.rglob("*"):
        if path.is_file() and not _is_unused(path.relative_to(library)):
            yield from _with_links(path)


def _is_unused(path: Path) -> bool:
    skipped = (*UNUSED, "site-packages", "dist-packages", "__pycache__")
    return any(part in skipped for part in path.parts) or path.suffix in {".a", ".pyc"}


def _settings() -> Iterator[Path]:
    for name in SETTINGS:
        path = Path(name)
        if path.is_dir():
            yield from (child for child in path.iterdir() if child.is_file())
        elif path.exists():
            yield from _with_links(path)


def _library(name: str) -> Iterator[Path]:
    for folder in (Path("/usr/lib", sysconfig.get_config_var("MULTIARCH")), Path("/usr/lib")):
        if (folder / name).exists():
            yield from _with_links(folder / name)
            return
    raise SystemExit(f"the base image has no {name}")


def _with_links(path: Path) -> Iterator[Path]:
    """``path`` in its real folder, then what it links to, and so on."""
    while True:
        path = path.parent.resolve() / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _is_binary(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _copy(root: Path, path: Path) -> None:
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)


def _list_packages(root: Path, copied: set[Path]) -> None:
    status = Path("/var/lib/dpkg/status").read_text()
    stanzas = {_name(stanza): stanza for stanza in status.split("\n\n") if stanza.strip()}
    for package in _owners(copied):
        target = root / "var/lib/dpkg/status.d" / package
        target.write_text(stanzas[package].strip() + "\n")


def _name(stanza: str) -> str:
    return stanza.strip().splitlines()[0].removeprefix("Package: ")


def _owners(copied: set[Path]) -> set[str]:
    """Names of the Debian packages that own one of the files."""
    owners = set()
    for listing in Path("/var/lib/dpkg/info").glob("*.list"):
        files = {Path(line) for line in listing.read_text().splitlines()}
        if any(path.parent.resolve() / path.name in copied for path in files):
            owners.add(listing.stem.partition(":")[0])
    return owners


if __name__ == "__main__":
    main()
