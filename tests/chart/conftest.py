"""Helm, as the local cluster's tools bring it, and the chart rendered over the whole matrix."""

import pytest

from chart.matrix import CHOICES, pairwise, values_of
from chart.rendering import Helm, Objects
from support.local_cluster import site
from support.programs import built

__all__ = ["defaults", "helm", "matrix", "site"]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """The pinned Helm."""
    return Helm(built("helm").path("helm"))


@pytest.fixture(scope="session")
def matrix(helm: Helm) -> list[Objects]:
    """The chart rendered with every case of the matrix."""
    return [helm.objects(values_of(case)) for case in pairwise(CHOICES)]


@pytest.fixture(scope="session")
def defaults(helm: Helm) -> Objects:
    """The chart rendered with its own values."""
    return helm.objects({})
