"""A real API server accepts what the chart renders, field by field."""

import copy
import json
from typing import Any

import pytest

from chart.rendering import Objects
from llm_cluster.site import Site

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(300)
def test_the_api_server_knows_every_field_of_every_render(
    matrix: list[Objects], site: Site
) -> None:
    unique = {
        json.dumps(_anonymous(manifest, number), sort_keys=True)
        for number, objects in enumerate(matrix)
        for manifest in objects.all
    }

    dry = ("create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-")
    created = site.kubectl(*dry, stdin="\n---\n".join(sorted(unique)))

    assert len(created.splitlines()) == len(unique)


def _anonymous(manifest: dict[str, Any], number: int) -> dict[str, Any]:
    """Under a name and in a namespace that exist nowhere and everywhere; each address once."""
    manifest = copy.deepcopy(manifest)
    metadata = {**manifest["metadata"], "name": f"dry-run-{number}"}
    if "namespace" in metadata:
        metadata["namespace"] = "default"
    if manifest["kind"] == "Service" and manifest["spec"].get("clusterIP") not in (None, "None"):
        manifest["spec"]["clusterIP"] = "10.96.200.200"
    return {**manifest, "metadata": metadata}
