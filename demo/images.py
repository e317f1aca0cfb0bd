"""The images of the story: built for the local cluster, or pushed for an existing one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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
    def read(cls, path: Path) -> "Images":
        """Reads what `make images` wrote."""
        found: Mapping[str, Mapping[str, str]] = json.loads(path.read_text())
        return cls(
            **{
                name: found[name]["reference"]
                for name in ("operator", "exporter", "runtime", "registry", "hub")
            },
            archives=tuple(Path(entry["archive"]) for entry in found.values()),
        )
