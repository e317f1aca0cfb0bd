"""Down to zero and back, and fewer pods: on real pods, with nobody cut off."""

import json
import time
from typing import Any

import pytest
from demo import story

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TO_ZERO = {
    "minReplicas": 0,
    "maxReplicas": 3,
    "scaleToZero": {"afterSeconds": 5},
    "scaleDown": {"stabilizationWindowSeconds": 0},
    "stableWindowSeconds": 5,
}


def change(stage: story.Stage, **spec: Any) -> None:
    """A user's `kubectl patch` of the spec."""
    body = json.dumps({"spec": spec})
    where = ("llmd", stage.name, "-n", stage.namespace)
    stage.kubectl("patch", *where, "--type=merge", "--patch", body)


def runtime_pods(stage: story.Stage) -> list[dict[str, Any]]:
    label = f"llm-operator.dev/deployment={stage.name},app.kubernetes.io/component=runtime"
    found: list[dict[str, Any]] = stage.kubectl.get("pods", "-n", stage.namespace, "-l", label)[
        "items"
    ]
    return found


def wait_for_pods(stage: story.Stage, wanted: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while len(runtime_pods(stage)) != wanted:
        assert time.monotonic() < deadline, runtime_pods(stage)
        time.sleep(0.5)


def test_the_first_call_after_zero_is_held_and_answered(served: story.Stage) -> None:
    change(served, autoscaling=TO_ZERO)
    wait_for_pods(served, 0, seconds=90)
    _, question, answer = story.QUESTIONS[0]
    assert story.ask(served, question).text == answer
    assert len(runtime_pods(served)) == 1


def test_a_pod_that_is_too_many_drains_before_it_ends(served: story.Stage) -> None:
    change(served, replicas=2)
    story.watch_until(served, story.is_ready, print, 120)
    wait_for_pods(served, 2, seconds=60)
    change(served, replicas=1)
    states = set()
    deadline = time.monotonic() + 90
    while len(pods := runtime_pods(served)) == 2:
        assert time.monotonic() < deadline
        cost = "controller.kubernetes.io/pod-deletion-cost"
        states |= {(pod["metadata"].get("annotations") or {}).get(cost) for pod in pods}
        time.sleep(0.2)
    assert "-1000" in states, states
