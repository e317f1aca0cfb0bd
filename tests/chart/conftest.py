"""Helm, as the local cluster's tools bring it, and the chart rendered over the whole matrix."""

import shutil
from pathlib import Path

import pytest

from chart.matrix import CHOICES, pairwise, values_of
from chart.rendering import Helm, Objects
from llm_cluster.build import cache_folder, programs


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The built Helm, else one on the path; its absence skips, and says how to get it."""
    built = programs(cache_folder()).path("helm")
    found = str(built) if built.exists() else shutil.which("helm")
    if found is None:
        pytest.skip("no helm: `make cluster-up` builds it")
    return Helm(Path(found))


@pytest.fixture(scope="session")
def matrix(helm: Helm) -> list[Objects]:
    """The chart rendered with every case of the matrix."""
    return [helm.objects(values_of(case)) for case in pairwise(CHOICES)]


@pytest.fixture(scope="session")
def defaults(helm: Helm) -> Objects:
    """The chart rendered with its own values."""
    return helm.objects({})
