"""Buildah without a daemon, with a store of its own below the cache folder."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_cluster.command import run, succeeds

_BUILD_SECONDS = 1800.0
_STORE_LIMIT_BYTES = 12 * 1024**3


@dataclass(frozen=True, slots=True)
class Build:
    """One image to build: where from, which stage, and what replaces the stage ``wheelhouse``."""

    dockerfile: Path
    context: Path
    reference: str
    target: str = ""
    arguments: Mapping[str, str] | None = None
    wheelhouse: Path | None = None


class Buildah:
    """Builds, runs and copies images; every call may raise CommandError with buildah's words."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / "state"
        places = ["--root", str(folder / "store"), "--runroot", str(self._state)]
        self._command = ["buildah", *places, "--storage-driver", "overlay"]

    def build(self, build: Build) -> None:
        """Builds an image whose times are all zero, so that equal content has an equal digest."""
        options = ["--isolation", "chroot", "--layers", "--timestamp", "0", "--quiet"]
        options += ["--file", str(build.dockerfile), "--tag", build.reference]
        if build.target:
            options += ["--target", build.target]
        for name, value in (build.arguments or {}).items():
            options += ["--build-arg", f"{name}={value}"]
        if build.wheelhouse:
            options += ["--build-context", f"wheelhouse={build.wheelhouse}"]
        run(["nice", *self._command, "bud", *options, build.context], timeout=_BUILD_SECONDS)

    def commit_archive(self, archive: Path, reference: str) -> None:
        """Makes an image of one layer from a tar file of its files."""
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            dockerfile = Path(scratch, "Dockerfile")
            dockerfile.write_text(f"FROM scratch\nADD {archive.name} /\n")
            self.build(Build(dockerfile, archive.parent, reference))

    def has(self, reference: str) -> bool:
        """Whether the store holds the image."""
        return succeeds([*self._command, "inspect", "--type", "image", reference])

    def run(self, reference: str, program: Sequence[str]) -> str:
        """Runs ``program`` in a new container of the image, as the image's user."""
        container = run([*self._command, "from", "--pull-never", reference]).strip()
        try:
            return run([*self._command, "run", "--isolation", "chroot", container, "--", *program])
        finally:
            run([*self._command, "rm", container])

    def save(self, reference: str, archive: Path) -> None:
        """Writes the image as a docker-archive, under its name, for `ctr images import`."""
        draft = archive.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        archive.parent.mkdir(parents=True, exist_ok=True)
        target = f"docker-archive:{draft}:{reference}"
        run([*self._command, "push", "--quiet", reference, target], timeout=_BUILD_SECONDS)
        draft.rename(archive)

    def load(self, archive: Path, reference: str) -> None:
        """Brings a docker-archive into the store, under the name ``reference``."""
        image = run([*self._command, "pull", "--quiet", f"docker-archive:{archive}"]).strip()
        run([*self._command, "tag", image, reference])

    def push(self, reference: str, target: str, *, plain_http: bool) -> None:
        """Copies an image to a registry, under the name ``target``."""
        secure = "--tls-verify=false" if plain_http else "--tls-verify=true"
        options = ["--quiet", secure, reference, f"docker://{target}"]
        run([*self._command, "push", *options], timeout=_BUILD_SECONDS)

    def close(self) -> None:
        """Removes containers, mounts and state, also those of a run that was killed.

        The store, whose layers make the next build short, goes too when it has grown too large.
        """
        if not self._state.is_dir():
            return
        run([*self._command, "rm", "--all"])
        for mount in mounts_below(self._folder, Path("/proc/self/mounts").read_text()):
            run(["umount", mount])
        used = run(["du", "--summarize", "--one-file-system", "--block-size=1", self._folder])
        shutil.rmtree(self._state)
        if int(used.split()[0]) > _STORE_LIMIT_BYTES:
            shutil.rmtree(self._folder)


def mounts_below(folder: Path, table: str) -> list[str]:
    """Mount points below ``folder`` in the text of /proc/self/mounts, innermost first."""
    points = [line.split()[1] for line in table.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]
