"""The base image where no registry is reachable: a Debian with Python from the package mirror."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from images.buildah import Buildah
from llm_cluster.command import run
from llm_cluster.progress import Progress

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Base:
    """A base image: the archive of its files and the digest of that archive."""

    archive: Path
    digest: str

    @property
    def reference(self) -> str:
        """Name in the builder's store."""
        return f"localhost/llm-operator/base:{self.digest[:16]}"

    def ensure(self, buildah: Buildah) -> str:
        """Brings the image into the builder's store; returns its name."""
        if not buildah.has(self.reference):
            buildah.commit_archive(self.archive, self.reference)
        return self.reference


def base(cache: Path, progress: Progress) -> Base:
    """The base of this suite and these packages, made once per cache."""
    wanted = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:16]
    folder = cache / "base" / wanted
    if not folder.is_dir():
        with progress.step(f"making the base image: Debian {SUITE} with Python"):
            _make(folder)
    return Base(folder / "files.tar", (folder / "digest").read_text().strip())


def mirror(sources: Iterable[str]) -> str:
    """The Debian mirror that this machine's apt uses for the suite, from its source lists."""
    for text in sources:
        for uri, suites in _entries(text):
            if SUITE in suites:
                return uri
    return DEFAULT_MIRROR


def _entries(text: str) -> list[tuple[str, list[str]]]:
    """(URI, suites) of every entry, in both formats of apt."""
    lines = re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)
    found = [(uri, [suite]) for uri, suite in lines]
    for stanza in re.split(r"\n\s*\n", text):
        uris = re.search(r"^URIs:\s*(\S+)", stanza, re.MULTILINE)
        suites = re.search(r"^Suites:\s*(.+)$", stanza, re.MULTILINE)
        if uris and suites:
            found.append((uris[1], suites[1].split()))
    return found


def _source_lists() -> list[str]:
    folder = Path("/etc/apt")
    files = [*folder.glob("sources.list"), *folder.glob("sources.list.d/*")]
    return [file.read_text() for file in sorted(files) if file.is_file()]


def _make(folder: Path) -> None:
    """Builds beside ``folder`` and renames, so that a killed run leaves nothing half done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
        tree, out = Path(scratch, "tree"), Path(scratch, "out")
        out.mkdir()
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, SUITE, tree, mirror(_source_lists())], timeout=_SECONDS)
        _drop_downloads(tree)
        archive = out / "files.tar"
        run(["tar", "--sort=name", "-C", tree, "-cf", archive, "."], timeout=300)
        (out / "digest").write_text(file_digest(archive))
        out.rename(folder)


def _drop_downloads(tree: Path) -> None:
    for name in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
        shutil.rmtree(tree / name)
        (tree / name).mkdir()


def file_digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
