"""What outlives what: children, artifacts and pods when objects and the operator come and go."""

from dataclasses import replace

import pytest
from demo import story

from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CHILDREN = (
    "jobs,deployments,controllerrevisions,services,pods,configmaps,serviceaccounts,"
    "poddisruptionbudgets,networkpolicies"
)


def children(stage: story.Stage) -> list[str]:
    """Kind and name of every object that carries the deployment's label."""
    label = f"llm-operator.dev/deployment={stage.name}"
    return stage.kubectl("get", CHILDREN, "-n", stage.namespace, "-l", label, "-o", "name").split()


def test_deletion_with_the_operator_down_leaves_no_child(
    served: story.Stage, operator_down: None
) -> None:
    """The garbage collector does it by ownerReference; no finalizer waits for us."""
    assert children(served)
    story.remove(served)
    until(lambda: not children(served), seconds=90, what="the garbage collection of all children")


def test_a_second_deployment_of_a_model_outlives_the_first(served: story.Stage) -> None:
    """No artifact belongs to an object: new pods start on both nodes when the first is gone."""
    second = replace(served, name=f"{served.name}-b")
    story.apply_minimal(second)
    story.watch_until(second, story.is_ready, print, 120)
    story.remove(served)
    until(lambda: not children(served), seconds=90, what="the first one's children to go")
    story.scale(second, 2)
    story.watch_until(second, story.is_scaled(2), print, 90)
    try:
        assert len(set(story.serving_nodes(second))) == 2
    finally:
        story.remove(second)


def test_pods_serve_on_while_the_operator_is_down(
    serving: story.Stage, operator_down: None
) -> None:
    """Nothing of a request's way goes through the operator."""
    _, question, expected = story.QUESTIONS[0]
    assert story.ask(serving, question).text == expected
