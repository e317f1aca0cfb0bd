"""What every command works with: the machine's layout, the programs and the cluster they make."""

from dataclasses import dataclass
from pathlib import Path

from llm_cluster import blueprint, build
from llm_cluster.blueprint import Blueprint
from llm_cluster.build import Programs
from llm_cluster.kubectl import Kubectl
from llm_cluster.layout import Layout, machine_layout
from llm_cluster.progress import Progress

_MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"


@dataclass(frozen=True, slots=True)
class Site:
    """One machine, one user's cache, and the cluster that this checkout would run there."""

    layout: Layout
    cache: Path
    programs: Programs
    blueprint: Blueprint
    progress: Progress

    @property
    def fingerprint(self) -> str:
        """Names the cluster's pins and configuration."""
        return blueprint.fingerprint(self.blueprint, self.cache)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the cluster's administrator."""
        return Kubectl(self.programs.path("kubernetes", "kubectl"), self.layout.kubeconfig)

    @property
    def ctr(self) -> Path:
        """containerd's own command line."""
        return self.programs.path("containerd", "ctr")


def open_site(progress: Progress) -> Site:
    """This machine and this checkout. Reads pins and manifests."""
    layout, cache = machine_layout(), build.cache_folder()
    programs = build.programs(cache)
    manifests = {path.stem: path.read_text() for path in sorted(_MANIFESTS.glob("*.yaml"))}
    return Site(layout, cache, programs, blueprint.draw(layout, programs, manifests), progress)
