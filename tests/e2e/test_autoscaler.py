"""A HorizontalPodAutoscaler of the user's own on the scale subresource."""

import json

import pytest
from demo import story

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def autoscaler(stage: story.Stage) -> str:
    """An HPA that adds a replica when a pod uses a tenth of the CPU it asked for."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 10}},
    }
    target = {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "name": stage.name,
    }
    return json.dumps(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": stage.name},
            "spec": {
                "scaleTargetRef": target,
                "minReplicas": 1,
                "maxReplicas": 2,
                "metrics": [metric],
            },
        }
    )


def test_a_real_hpa_scales_the_minimal_object_by_its_cpu(serving: story.Stage) -> None:
    """It reads the scale subresource, finds the pods by its selector and writes replicas."""
    story.scale(serving, 1)
    story.watch_until(serving, story.is_scaled(1), print, 90)
    serving.kubectl.apply(autoscaler(serving), "-n", serving.namespace)
    flow = story.FlowingRequests(serving, 240)
    try:
        story.watch_until(serving, story.is_scaled(2), print, 200)
    finally:
        flow.stop()
        serving.kubectl("delete", "hpa", serving.name, "-n", serving.namespace)
