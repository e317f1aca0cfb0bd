"""Makes each image, or finds it finished on the shelf."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from images import system
from images.base import Base, base
from images.buildah import Build, Buildah
from images.recipe import ROOT, Recipe, digest, recipes, reference, tag
from images.shelf import Image, Shelf
from images.wheelhouse import wheelhouse
from llm_cluster import build as programs_build
from llm_cluster.progress import Progress

REGISTRY_DOCKERFILE = "images/Dockerfile.registry"
HUB_DOCKERFILE = "demo/Dockerfile.hub"
HUB_INPUTS = (HUB_DOCKERFILE, "examples/demo-model/model", "tests/support/hub_server.py")
_IMPORT_ALL = """
import importlib, importlib.util, sys
for name in {imports!r}:
    importlib.import_module(name)
found = [name for name in {absent!r} if importlib.util.find_spec(name)]
sys.exit(f"these must not be in the image: {{found}}" if found else 0)
"""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where images are made: the user's cache, a builder and a shelf for what is finished."""

    cache: Path
    shelf: Shelf
    buildah: Buildah
    progress: Progress

    @classmethod
    def open(cls, progress: Progress) -> "Workshop":
        """The workshop below the user's cache folder."""
        cache = programs_build.cache_folder()
        folder = cache / "images"
        return cls(cache, Shelf(folder / "archives"), Buildah(folder / "buildah"), progress)

    def make(self, names: Iterable[str], variant: str) -> dict[str, Image]:
        """The images of ``names``, in the order in which they depend on each other."""
        wanted = set(names)
        foundation = self._foundation()
        known = {recipe.name: recipe for recipe in recipes(variant)}
        made = {name: self._python(known[name], foundation) for name in known if name in wanted}
        if "registry" in wanted:
            made["registry"] = self._registry()
        if "hub" in wanted:
            made["hub"] = self._hub(known["exporter"], foundation)
        return made

    def push(self, images: dict[str, Image], prefix: str, *, plain_http: bool) -> dict[str, Image]:
        """Copies the images to a registry; returns them under the names they have there."""
        pushed = {}
        for name, image in images.items():
            target = f"{prefix.rstrip('/')}/{image.reference.rpartition('/')[2]}"
            with self.progress.step(f"pushing {target}"):
                self._in_store(image)
                self.buildah.push(image.reference, target, plain_http=plain_http)
            pushed[name] = Image(target, image.archive, image.unpacked, image.compressed)
        return pushed

    def _foundation(self) -> Base:
        folder = self.cache / "images"
        if not (folder / "base").is_dir():
            system.prepare(self.progress)
        return base(folder, self.progress)

    def _python(self, recipe: Recipe, foundation: Base) -> Image:
        content_tag = tag(recipe, foundation.digest)
        name = reference(recipe.name, content_tag)

        def build(archive: Path) -> None:
            wheels = wheelhouse(recipe, self.cache / "images", self.progress)
            with self.progress.step(f"building the image {recipe.name}"):
                self._build_python(recipe, name, foundation, wheels)
            with self.progress.step(f"saving and measuring the image {recipe.name}"):
                self.buildah.save(name, archive)

        return self._take(recipe.name, content_tag, name, build)

    def _build_python(self, recipe: Recipe, name: str, foundation: Base, wheels: Path) -> None:
        system.prepare(self.progress)
        arguments = {"BASE": foundation.ensure(self.buildah), "VARIANT": recipe.variant}
        if recipe.dockerfile != "Dockerfile.runtime":
            del arguments["VARIANT"]
        dockerfile = ROOT / recipe.dockerfile
        self.buildah.build(Build(dockerfile, ROOT, name, recipe.target, arguments, wheels))
        self._try(recipe, name)

    def _try(self, recipe: Recipe, name: str) -> None:
        """Imports what the image is for, as its user, so that a broken image never leaves here."""
        program = _IMPORT_ALL.format(imports=recipe.imports, absent=recipe.absent)
        self.buildah.run(name, ["python", "-c", program])

    def _registry(self) -> Image:
        """The CNCF Distribution registry and nothing else."""
        programs = programs_build.programs(self.cache)
        folder = programs.folders["registry"]
        content_tag = digest([folder.name], (REGISTRY_DOCKERFILE,))
        name = reference("registry", content_tag)

        def build(archive: Path) -> None:
            programs_build.build(programs, self.cache, self.progress, {"registry"})
            with self.progress.step("building the image registry"):
                system.prepare(self.progress)
                self.buildah.build(Build(ROOT / REGISTRY_DOCKERFILE, folder, name))
                self.buildah.save(name, archive)

        return self._take("registry", content_tag, name, build)

    def _hub(self, exporter: Recipe, foundation: Base) -> Image:
        """The demo's own model hub: the exporter image, a server and the demo model."""
        exporter_image = self._python(exporter, foundation)
        content_tag = digest([exporter_image.reference], HUB_INPUTS)
        name = reference("hub", content_tag)

        def build(archive: Path) -> None:
            with self.progress.step("building the image hub"):
                self._in_store(exporter_image)
                arguments = {"EXPORTER": exporter_image.reference}
                self.buildah.build(Build(ROOT / HUB_DOCKERFILE, ROOT, name, "", arguments))
                self.buildah.save(name, archive)

        return self._take("hub", content_tag, name, build)

    def _take(self, name: str, content_tag: str, full: str, make: Callable[[Path], None]) -> Image:
        image, is_new = self.shelf.take(name, content_tag, full, make)
        self.progress.say(f"  {full}: {'made' if is_new else 'unchanged'}, {_sizes(image)}")
        return image

    def _in_store(self, image: Image) -> None:
        if not self.buildah.has(image.reference):
            self.buildah.load(image.archive, image.reference)


def write_catalogue(path: Path, images: dict[str, Image]) -> None:
    """Adds the images to `build/images.json`, where the demo and the tests find them."""
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= {name: image.entry() for name, image in images.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def _sizes(image: Image) -> str:
    return f"{image.unpacked / 1e6:.0f} MB unpacked, {image.compressed / 1e6:.0f} MB compressed"
