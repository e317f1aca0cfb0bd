"""What is built before a cluster starts."""

from pathlib import Path

import pytest

from llm_cluster import addons, up
from llm_cluster import build as programs
from llm_cluster.progress import Progress
from llm_cluster.record import Options
from llm_cluster.site import Site, open_site


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    names: set[str] = set()

    def build(_programs: object, _cache: Path, _progress: Progress, wanted: set[str]) -> None:
        names.update(wanted)

    def no_images(_site: Site, _options: Options) -> None:
        """Are made of programs."""

    monkeypatch.setattr(programs, "build", build)
    monkeypatch.setattr(addons, "image_archives", no_images)
    return names


def test_a_start_builds_neither_what_nobody_asked_for_nor_what_only_tests_run(
    built: set[str],
) -> None:
    up.prepare(open_site(Progress()), Options())
    assert {"kubernetes", "etcd", "helm"} < built
    assert built.isdisjoint({"kwok", "metrics-server", "xds-client", "traefik", "gateway-api"})


def test_what_is_asked_for_is_built(built: set[str]) -> None:
    up.prepare(open_site(Progress()), Options(kwok=True, metrics=True))
    assert {"kwok", "metrics-server"} < built
