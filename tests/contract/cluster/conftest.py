"""The local cluster, started or shared, and a namespace of each test's own."""

import json
import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from contract.cluster.pods import BUSYBOX, RunPod, document
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


@pytest.fixture
def namespace(site: Site) -> Iterator[str]:
    """A new namespace, removed in the background afterwards."""
    name = f"cluster-{uuid4().hex[:8]}"
    site.kubectl("create", "namespace", name)
    yield name
    site.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def run_pod(site: Site, namespace: str) -> RunPod:
    """Runs a script in a pod of this test's namespace, for up to a minute."""

    def run(
        node: str,
        script: str,
        spec: dict[str, object] | None = None,
        container: dict[str, object] | None = None,
    ) -> str:
        name = f"pod-{uuid4().hex[:8]}"
        main = {
            "name": "main",
            "image": BUSYBOX,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
            **(container or {}),
        }
        pod = {
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [main],
            **(spec or {}),
        }
        site.kubectl.apply(json.dumps(document("Pod", name, namespace, pod)))
        phase = "--for=jsonpath={.status.phase}=Succeeded"
        site.kubectl("-n", namespace, "wait", f"pod/{name}", phase, "--timeout=60s")
        return site.kubectl("-n", namespace, "logs", name)

    return run
