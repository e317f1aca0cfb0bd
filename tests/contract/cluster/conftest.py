"""The local cluster and a namespace of each test's own."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from contract.cluster.pods import BUSYBOX, RunPod, document
from llm_cluster.site import Site
from support.local_cluster import site

__all__ = ["namespace", "run_pod", "site"]


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
