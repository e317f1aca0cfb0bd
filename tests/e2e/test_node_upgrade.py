"""A node that is taken out of service, as an upgrade of the cluster does it."""

import pytest
from demo import story

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.mark.usefixtures("disposable")
def test_a_node_is_drained_under_its_only_pod_and_no_request_fails(served: story.Stage) -> None:
    """The eviction is refused until the pod's replacement serves elsewhere."""
    (node,) = story.serving_nodes(served)
    flow = story.FlowingRequests(served, 240)
    try:
        mine = f"--pod-selector=llm-operator.dev/deployment={served.name}"
        served.kubectl("drain", node, mine, "--delete-emptydir-data", "--timeout=150s")
    finally:
        served.kubectl("uncordon", node)
        counted = flow.stop()
    (other,) = story.serving_nodes(served)
    assert other != node
    assert counted.answered > 0
    assert counted.failed == 0, counted.errors
