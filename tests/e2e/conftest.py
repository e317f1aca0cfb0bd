"""The chart is installed once for all; each test plays a part with an object of its own."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from demo import story, target


@pytest.fixture(scope="session")
def cluster() -> story.Stage:
    """A cluster with the chart installed and the hub and the client's pod ready."""
    prepared = target.prepare()
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


@pytest.fixture(scope="session")
def serving(cluster: story.Stage) -> Iterator[story.Stage]:
    """An LLMDeployment that is Ready, shared by tests that leave it serving."""
    shared = replace(cluster, name="shared")
    story.remove(shared)  # a killed run may have left it
    story.apply_minimal(shared)
    story.watch_until(shared, story.is_ready, print, 180)
    yield shared
    story.remove(shared)


@pytest.fixture
def served(stage: story.Stage) -> story.Stage:
    """An LLMDeployment of the test's own that is Ready."""
    story.apply_minimal(stage)
    story.watch_until(stage, story.is_ready, print, 180)
    return stage


@pytest.fixture
def disposable() -> None:
    """The cluster is the tests' own: on somebody's no node and no operator is taken away."""
    if target.existing_registry(os.environ):
        pytest.skip("takes a node or the operator away, which an existing cluster may need")


@pytest.fixture
def operator_down(disposable: None, cluster: story.Stage) -> Iterator[None]:
    """No operator runs during the test."""
    deployment = ("deployment/llm-operator", "-n", story.SYSTEM_NAMESPACE)
    label = "--selector=app.kubernetes.io/component=operator"
    replicas = cluster.kubectl.get(*deployment)["spec"]["replicas"]
    cluster.kubectl("scale", *deployment, "--replicas=0")
    cluster.kubectl("wait", "pod", label, "-n", story.SYSTEM_NAMESPACE, "--for=delete")
    yield
    cluster.kubectl("scale", *deployment, f"--replicas={replicas}")
    cluster.kubectl("rollout", "status", *deployment, "--timeout=90s")
