"""The story of the demo, each part as a promise."""

import pytest
from demo import story

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_six_lines_become_a_model_that_answers_every_task_exactly(serving: story.Stage) -> None:
    """One question a task, from a pod in the cluster over the Service's name."""
    answers = {task: story.ask(serving, question).text for task, question, _ in story.QUESTIONS}
    assert answers == {task: expected for task, _, expected in story.QUESTIONS}


def test_scaling_to_two_puts_a_pod_on_each_node(serving: story.Stage) -> None:
    """The artifact comes from the registry, so no node is special."""
    story.scale(serving, 1)
    story.watch_until(serving, story.is_scaled(1), print, 90)
    story.scale(serving, 2)
    story.watch_until(serving, story.is_scaled(2), print, 90)
    assert len(set(story.serving_nodes(serving))) == 2


def test_a_spec_change_rolls_out_while_requests_flow_and_none_fails(serving: story.Stage) -> None:
    """Requests flow until the last old pod has drained, its GOAWAY included."""
    story.scale(serving, 2)
    story.watch_until(serving, story.is_scaled(2), print, 90)
    flow = story.FlowingRequests(serving, 240)
    before = story.change_spec(serving)
    story.watch_until(serving, story.rolled_out(before), print, 180)
    story.wait_until_gone(serving, before)
    counted = flow.stop()
    assert counted.answered > 0
    assert counted.failed == 0, counted.errors
