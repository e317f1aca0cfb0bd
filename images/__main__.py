"""The command line of `scripts/images`."""

import argparse
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from images.recipe import ROOT
from images.workshop import make, open_workshop, write_catalogue
from llm_cluster.build import cache_folder
from llm_cluster.errors import ClusterError
from llm_cluster.progress import Progress

NAMES = {
    "cpu": ("operator", "exporter", "runtime", "registry", "hub"),
    "cuda": ("runtime-cuda",),
}


def main(arguments: list[str] | None = None) -> int:
    """Builds what is missing; returns the exit status: 0, or 1 after a message."""
    chosen = _parser().parse_args(arguments)
    progress = Progress()
    try:
        _build(chosen, progress)
    except (ClusterError, FileNotFoundError) as failed:
        progress.say(f"error: {failed}")
        return 1
    return 0


def _build(chosen: argparse.Namespace, progress: Progress) -> None:
    names = chosen.names or NAMES[chosen.variant]
    with _one_builder(), open_workshop(progress) as workshop:
        images = make(workshop, names, chosen.variant)
        if chosen.push:
            options = {"plain_http": chosen.plain_http}
            images = {n: workshop.push(i, chosen.push, **options) for n, i in images.items()}
    name = "images.json" if chosen.variant == "cpu" else f"images-{chosen.variant}.json"
    write_catalogue(ROOT / "build" / name, images)


@contextmanager
def _one_builder() -> Iterator[None]:
    """Two builds of one user wait for each other instead of doing the work twice."""
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/images",
        description="Builds the container images that are missing or out of date and writes "
        "build/images.json: their names, archives and sizes.",
    )
    all_names = sorted({name for names in NAMES.values() for name in names})
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(all_names)}")
    parser.add_argument("--variant", choices=sorted(NAMES), default="cpu")
    parser.add_argument(
        "--push", metavar="HOST/PREFIX", help="copy the images to this registry as well"
    )
    parser.add_argument(
        "--plain-http", action="store_true", help="the registry of --push speaks no TLS"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
