"""A HorizontalPodAutoscaler of the user's own on the scale subresource."""

import json

import pytest
from demo import story

from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def autoscaler(stage: story.Stage) -> str:
    """An HPA on CPU that wants at least two replicas."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 95}},
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
                "minReplicas": 2,
                "maxReplicas": 3,
                "metrics": [metric],
            },
        }
    )


def test_a_real_hpa_scales_the_minimal_object_by_its_cpu(serving: story.Stage) -> None:
    """It reads the scale subresource, finds the pods by its selector and writes replicas."""
    serving.kubectl.apply(autoscaler(serving), "-n", serving.namespace)
    try:
        story.watch_until(serving, story.is_scaled(2), print, 120)
        until(lambda: finds_metrics(serving), seconds=120, what="the HPA to find the pods' CPU use")
    finally:
        serving.kubectl("delete", "hpa", serving.name, "-n", serving.namespace)


def finds_metrics(stage: story.Stage) -> bool:
    """Whether the HPA says that it computes from metrics."""
    found = stage.kubectl.get("hpa", stage.name, "-n", stage.namespace)
    conditions = found.get("status", {}).get("conditions", [])
    return any(c["type"] == "ScalingActive" and c["status"] == "True" for c in conditions)
