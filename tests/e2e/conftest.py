"""The chart is installed once for all; each test plays a part with an object of its own."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from demo import story
from demo.target import prepare


@pytest.fixture(scope="session")
def cluster() -> story.Stage:
    """A cluster with the chart installed and the hub and the client's pod ready."""
    prepared = prepare()
    story.install(prepared)
    story.serve_hub(prepared)
    return prepared


@pytest.fixture
def stage(cluster: story.Stage, request: pytest.FixtureRequest) -> Iterator[story.Stage]:
    """The cluster with a name for an LLMDeployment of the test's own, removed afterwards."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    own = replace(cluster, name=f"t-{digest}")
    yield own
    story.remove(own)
