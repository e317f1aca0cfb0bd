"""What each image is made of, and its tag: a digest of everything that decides its content."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "localhost/llm-operator"
STAGE = "images/stage"
TOOLS_LOCK = "requirements/uv.txt"
_IGNORED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache"})
_TAG_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image. Paths are relative to the repository's root.

    ``sources`` are files and folders that the Dockerfile copies; ``locks`` are the hash-locked
    requirements it installs, ``wheels`` those whose wheels are at hand. ``imports`` must work in
    the finished image and ``absent`` must not; onnxruntime must offer ``providers`` there.
    """

    name: str
    dockerfile: str
    target: str
    sources: tuple[str, ...]
    locks: tuple[str, ...]
    wheels: tuple[str, ...]
    imports: tuple[str, ...]
    absent: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    variant: str = ""

    @property
    def arguments(self) -> dict[str, str]:
        """Build arguments beside the base image."""
        return {"VARIANT": self.variant} if self.variant else {}

    def inputs(self) -> tuple[str, ...]:
        """Every path that decides the content."""
        return (self.dockerfile, STAGE, TOOLS_LOCK, *self.locks, *self.sources)


_OPERATOR = Recipe(
    name="operator",
    dockerfile="Dockerfile.operator",
    target="operator",
    sources=("client", "operator"),
    locks=("requirements/operator.txt",),
    wheels=("requirements/operator.txt",),
    imports=("llm_operator.process", "kubernetes.aio"),
    absent=("onnxruntime", "pip", "setuptools"),
)
_EXPORTER = Recipe(
    name="exporter",
    dockerfile="Dockerfile.runtime",
    target="exporter",
    sources=("client", "runtime"),
    locks=("requirements/runtime.txt", "requirements/exporter.txt"),
    wheels=("requirements/runtime.txt", "requirements/exporter.txt"),
    imports=(
        "llm_runtime.commands.job",
        "llm_runtime.commands.export",
        "llm_runtime.commands.verify",
        "llm_runtime.commands.push",
        "huggingface_hub",
    ),
    absent=("torch", "transformers", "pip", "setuptools"),
    variant="cpu",
)
_RUNTIME = Recipe(
    name="runtime",
    dockerfile="Dockerfile.runtime",
    target="runtime",
    sources=("client", "runtime"),
    locks=("requirements/runtime.txt",),
    wheels=_EXPORTER.wheels,
    imports=(
        "llm_runtime.commands.serve",
        "llm_runtime.commands.chat",
        "llm_runtime.commands.fetch",
    ),
    absent=("onnx", "safetensors", "torch", "transformers", "pip", "setuptools"),
    providers=("CPUExecutionProvider",),
    variant="cpu",
)
_RUNTIME_CUDA = Recipe(
    name="runtime-cuda",
    dockerfile="Dockerfile.runtime",
    target="runtime",
    sources=("client", "runtime"),
    locks=("requirements/runtime-cuda.txt",),
    wheels=("requirements/runtime-cuda.txt",),
    imports=_RUNTIME.imports,
    absent=_RUNTIME.absent,
    providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    variant="cuda",
)


def recipes(variant: str) -> tuple[Recipe, ...]:
    """The images of a variant: all of them for cpu, the runtime alone for cuda."""
    if variant == "cuda":
        return (_RUNTIME_CUDA,)
    return (_OPERATOR, _EXPORTER, _RUNTIME)


def tag(recipe: Recipe, base: str, root: Path) -> str:
    """Content tag: equal inputs and an equal ``base`` (its digest) give an equal tag."""
    facts = [recipe.name, recipe.target, recipe.variant, base]
    return digest(facts, recipe.inputs(), root)


def digest(facts: list[str], paths: tuple[str, ...], root: Path) -> str:
    """Digest of words and of the contents of files and folders."""
    total = hashlib.sha256("\0".join(facts).encode())
    for path in paths:
        for file in _files(root / path):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            mode = "x" if file.stat().st_mode & 0o100 else "-"
            total.update(f"{file.relative_to(root)}\0{mode}\0{content}\n".encode())
    return total.hexdigest()[:_TAG_DIGITS]


def reference(name: str, content_tag: str) -> str:
    """Full name of an image in the nodes' stores."""
    return f"{PREFIX}/{name}:{content_tag}"


def snapshot(paths: Iterable[str], root: Path, target: Path) -> None:
    """Copies inputs, so that what is digested is what is built, even while somebody edits."""
    for path in paths:
        for file in _files(root / path):
            copy = target / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is needed for an image and does not exist")
    for child in sorted(path.iterdir()):
        if child.name not in _IGNORED and not child.name.endswith(".egg-info"):
            yield from _files(child)
