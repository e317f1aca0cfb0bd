"""More pods, fewer pods and none, as the load wants: on real pods, with nobody cut off."""

from typing import Any

import pytest
from bench import pod_cgroup
from demo import autoscaling, story
from demo.load_pod import LoadPod

from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

STREAMS = 16
"""More than two pods of four slots can carry, and not more than one and its queue can take."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def events(stage: story.Stage, reason: str) -> list[str]:
    """Messages of the object's Events of one reason."""
    chosen = f"involvedObject.name={stage.name},involvedObject.kind=LLMDeployment,reason={reason}"
    found = stage.kubectl.get("events", "-n", stage.namespace, "--field-selector", chosen)
    return [each["message"] for each in found["items"]]


@pytest.fixture
def small(stage: story.Stage) -> story.Stage:
    """An LLMDeployment that is Ready, whose pods run four requests at a time, and not as many as
    their memory holds."""
    story.remove(stage)  # a killed run may have left it
    text = story.minimal(stage)
    slots = text.replace("device: cpu,", "device: cpu, maxConcurrentSequences: 4,")
    assert slots != text
    stage.kubectl.apply(slots, "-n", stage.namespace)
    story.watch_until(stage, story.is_ready, print, 180)
    return stage


@pytest.mark.timeout(600)
def test_a_burst_brings_three_pods_its_end_takes_two_and_every_call_is_answered(
    small: story.Stage,
) -> None:
    autoscaling.let_load_decide(small, 1)
    totals: dict[str, Any] = {}
    with autoscaling.burst(small, totals.update, streams=STREAMS):
        story.watch_until(small, autoscaling.has_pods(3), print, 180)
    story.watch_until(small, autoscaling.has_pods(1), print, 180)
    assert totals["errors"] == {}
    assert totals["answered"] == totals["sent"] >= STREAMS
    assert events(small, "ScaledUp")
    assert events(small, "ScaledDown")
    assert [line.split("  ")[0] for line in autoscaling.decisions(small)][-1].endswith("-> 1")


def test_the_first_call_after_zero_is_held_and_answered(served: story.Stage) -> None:
    autoscaling.let_load_decide(served, 0)
    story.watch_until(served, autoscaling.has_pods(0), print, 120)
    _, question, answer = story.QUESTIONS[0]
    assert story.ask(served, question).text == answer
    assert len(story.serving_nodes(served)) == 1


@pytest.mark.usefixtures("disposable")
def test_an_activator_that_is_killed_loses_at_most_what_it_held_and_says_so(
    served: story.Stage, request: pytest.FixtureRequest
) -> None:
    """Sixteen calls wait at two activators for the first pod, and one of these gets SIGKILL: its
    calls are told UNAVAILABLE, which a client may try again, and the other one's are answered."""
    autoscaling.let_load_decide(served, 0)
    story.watch_until(served, autoscaling.has_pods(0), print, 120)
    pod = LoadPod(served.kubectl, served.namespace)
    pod.start(served.images.runtime)
    request.addfinalizer(pod.remove)
    calls = ("--phase", "closed:streams=16,seconds=60,requests=16", "--connections", "call")
    with pod.running(served.target, *calls, "--no-retries", "--timeout", "60") as run:
        until(lambda: wanted(served) > 0, seconds=30, what="held calls to ask for a pod", every=0.1)
        pod_cgroup.kill(activators(served)[0], b"llm_operator")
        run.next("report", 90)
    total = run.events[-1]["total"]
    assert (total["sent"], total["lost"]) == (16, 0)
    assert set(total["errors"]) == {"UNAVAILABLE"}
    assert total["answered"] == 16 - total["errors"]["UNAVAILABLE"] > 0
    place = ("-n", story.SYSTEM_NAMESPACE)
    served.kubectl("rollout", "status", "deployment/llm-operator-activator", *place)


def wanted(stage: story.Stage) -> int:
    """Pods that the autoscaler asks for."""
    scaling = story.deployment(stage)["status"].get("autoscaling", {})
    return int(scaling.get("desiredReplicas", 0))


def activators(stage: story.Stage) -> list[str]:
    """The uids of the activators' ready pods."""
    label = "app.kubernetes.io/component=activator"
    found = stage.kubectl.get("pods", "-n", story.SYSTEM_NAMESPACE, "-l", label)
    return [pod["metadata"]["uid"] for pod in found["items"] if story.is_pod_ready(pod)]


def test_a_pod_that_is_too_many_drains_before_it_ends(served: story.Stage) -> None:
    story.scale(served, 2)
    story.watch_until(served, story.is_scaled(2), print, 120)
    story.scale(served, 1)
    costs: set[str | None] = set()

    def one_is_gone() -> bool:
        pods = story.runtime_pods(served)
        costs.update((pod["metadata"].get("annotations") or {}).get(DELETION_COST) for pod in pods)
        return len(pods) < 2

    until(one_is_gone, seconds=90, what="one of two pods to go", every=0.2)
    assert "-1000" in costs
