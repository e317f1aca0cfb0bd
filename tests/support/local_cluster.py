"""The local cluster, started or shared. For conftest files to import."""

import os

import pytest

from llm_cluster.progress import Progress
from llm_cluster.record import Options
from llm_cluster.site import Site, open_site
from llm_cluster.up import up


@pytest.fixture(scope="session")
def site() -> Site:
    """The cluster of this checkout, healthy. Skips when the tests run on someone else's."""
    if os.environ.get("LLM_IMAGE_REGISTRY"):
        pytest.skip("the tests run on an existing cluster, so nothing is known of this one")
    found = open_site(Progress())
    up(found, Options())
    return found
