"""The images of the story: built for the local cluster, or pushed for an existing one.

`python -m demo.images` prints the Helm flags that make the chart use what `make images` built.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / "images.json"
CHART_IMAGES = ("operator", "exporter", "runtime", "registry")


@dataclass(frozen=True, slots=True)
class Images:
    """Full references of the images that run in the cluster, and where their archives lie."""

    operator: str
    exporter: str
    runtime: str
    registry: str
    hub: str
    archives: tuple[Path, ...]

    @classmethod
    def read(cls, path: Path = BUILT) -> "Images":
        """Reads what `make images` wrote."""
        found: Mapping[str, Mapping[str, str]] = json.loads(path.read_text())
        references = {name: found[name]["reference"] for name in (*CHART_IMAGES, "hub")}
        archives = tuple(Path(entry["archive"]) for entry in found.values())
        return cls(**references, archives=archives)

    def helm_flags(self) -> tuple[str, ...]:
        """Arguments of `helm install` that name these images."""
        flags: list[str] = []
        for name in CHART_IMAGES:
            repository, _, tag = getattr(self, name).rpartition(":")
            flags += ["--set", f"image.{name}.repository={repository}"]
            flags += ["--set-string", f"image.{name}.tag={tag}"]
        return tuple(flags)


if __name__ == "__main__":
    print(" ".join(Images.read().helm_flags()))
