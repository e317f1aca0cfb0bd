"""Makes each image, or finds it finished on the shelf."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from images import system
from images.base import Base, base
from images.buildah import Build, Buildah
from images.recipe import ROOT, Recipe, digest, recipes, reference, snapshot, tag
from images.shelf import Image, Shelf
from images.wheelhouse import wheelhouse
from llm_cluster import build as programs_build
from llm_cluster.progress import Progress

REGISTRY_DOCKERFILE = "images/Dockerfile.registry"
HUB_DOCKERFILE = "demo/Dockerfile.hub"
HUB_INPUTS = (HUB_DOCKERFILE, "examples/demo-model/model", "tests/support/hub_server.py")
CONTEXT_RULES = ".dockerignore"
_TRIAL = """
import importlib, importlib.util, sys
for name in {imports!r}:
    importlib.import_module(name)
found = [name for name in {absent!r} if importlib.util.find_spec(name)]
if found:
    sys.exit(f"these must not be in the image: {{found}}")
if {providers!r}:
    import onnxruntime
    missing = set({providers!r}) - set(onnxruntime.get_available_providers())
    sys.exit(f"onnxruntime lacks {{missing}}" if missing else 0)
"""


@dataclass(slots=True)
class Workshop:
    """Makes images of the files below ``source``, a snapshot of the repository.

    ``made`` holds what this run has made or found, by name.
    """

    source: Path
    cache: Path
    shelf: Shelf
    buildah: Buildah
    progress: Progress
    foundation: Base
    made: dict[str, Image] = field(default_factory=dict)

    def python(self, recipe: Recipe) -> Image:
        """An image with packages and sources of ours."""
        content_tag = tag(recipe, self.foundation.digest, self.source)
        name = reference(recipe.name, content_tag)

        def build(archive: Path) -> None:
            wheels = wheelhouse(recipe, self.source, self.cache / "images", self.progress)
            with self.progress.step(f"building the image {recipe.name}"):
                self._build_python(recipe, name, wheels)
            with self.progress.step(f"saving the image {recipe.name}"):
                self.buildah.save(name, archive)

        return self._take(recipe.name, content_tag, name, build)

    def registry(self) -> Image:
        """The CNCF Distribution registry and nothing else."""
        programs = programs_build.programs(self.cache)
        folder = programs.folders["registry"]
        content_tag = digest([folder.name], (REGISTRY_DOCKERFILE,), self.source)
        name = reference("registry", content_tag)

        def build(archive: Path) -> None:
            programs_build.build(programs, self.cache, self.progress, {"registry"})
            with self.progress.step("building the image registry"):
                self.buildah.build(Build(self.source / REGISTRY_DOCKERFILE, folder, name))
                self.buildah.save(name, archive)

        return self._take("registry", content_tag, name, build)

    def hub(self, exporter: Recipe) -> Image:
        """The demo's own model hub: the exporter image, a server and the demo model."""
        parent = self.made.get("exporter") or self.python(exporter)
        content_tag = digest([parent.reference], HUB_INPUTS, self.source)
        name = reference("hub", content_tag)

        def build(archive: Path) -> None:
            with self.progress.step("building the image hub"):
                self._in_store(parent)
                dockerfile, arguments = self.source / HUB_DOCKERFILE, {"EXPORTER": parent.reference}
                self.buildah.build(Build(dockerfile, self.source, name, "", arguments))
                self.buildah.save(name, archive)

        return self._take("hub", content_tag, name, build)

    def push(self, image: Image, prefix: str, *, plain_http: bool) -> Image:
        """Copies an image to a registry; returns it under the name it has there."""
        target = f"{prefix.rstrip('/')}/{image.reference.rpartition('/')[2]}"
        with self.progress.step(f"pushing {target}"):
            self._in_store(image)
            self.buildah.push(image.reference, target, plain_http=plain_http)
        return Image(target, image.archive, image.unpacked, image.compressed)

    def _build_python(self, recipe: Recipe, name: str, wheels: Path) -> None:
        arguments = {"BASE": self.foundation.ensure(self.buildah), **recipe.arguments}
        dockerfile = self.source / recipe.dockerfile
        self.buildah.build(Build(dockerfile, self.source, name, recipe.target, arguments, wheels))
        self._try(recipe, name)

    def _try(self, recipe: Recipe, name: str) -> None:
        """Imports what the image is for, as its user, so that a broken image never leaves here."""
        program = _TRIAL.format(
            imports=recipe.imports, absent=recipe.absent, providers=recipe.providers
        )
        self.buildah.run(name, ["python", "-c", program])

    def _take(self, name: str, content_tag: str, full: str, make: Callable[[Path], None]) -> Image:
        image, is_new = self.shelf.take(name, content_tag, full, make)
        self.progress.say(f"  {full}: {'made' if is_new else 'unchanged'}, {_sizes(image)}")
        self.made[name] = image
        return image

    def _in_store(self, image: Image) -> None:
        if not self.buildah.has(image.reference):
            self.buildah.load(image.archive, image.reference)


@contextmanager
def open_workshop(progress: Progress) -> Iterator[Workshop]:
    """The workshop below the user's cache folder. Only one may be open at a time."""
    cache = programs_build.cache_folder()
    folder = cache / "images"
    system.prepare(progress)
    foundation = base(folder, progress)
    buildah = Buildah(folder / "buildah")
    shelf, source = Shelf(folder / "archives", progress), folder / "source"
    buildah.close()  # what a killed run has left
    shutil.rmtree(source, ignore_errors=True)
    try:
        yield Workshop(source, cache, shelf, buildah, progress, foundation)
    finally:
        buildah.close()
        shutil.rmtree(source, ignore_errors=True)


def make(workshop: Workshop, names: Iterable[str], variant: str) -> dict[str, Image]:
    """The images of ``names``, in the order in which they depend on each other."""
    wanted = set(names)
    known = {recipe.name: recipe for recipe in recipes(variant)}
    paths = {path for recipe in known.values() for path in (*recipe.inputs(), *recipe.wheels)}
    paths |= {CONTEXT_RULES, REGISTRY_DOCKERFILE, *(HUB_INPUTS if "hub" in wanted else ())}
    snapshot(sorted(paths), ROOT, workshop.source)
    for name in known:
        if name in wanted:
            workshop.python(known[name])
    if "registry" in wanted:
        workshop.registry()
    if "hub" in wanted:
        workshop.hub(known["exporter"])
    return {name: image for name, image in workshop.made.items() if name in wanted}


def write_catalogue(path: Path, images: dict[str, Image]) -> None:
    """Adds the images to `build/images.json`, where the demo and the tests find them."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= {name: image.entry() for name, image in images.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def _sizes(image: Image) -> str:
    return f"{image.unpacked / 1e6:.0f} MB unpacked, {image.compressed / 1e6:.0f} MB compressed"
