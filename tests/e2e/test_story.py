"""The story of the demo, each part as a promise."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from demo import story
from demo.load_pod import LoadPod, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

STREAMS = 2


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


def test_a_rollout_fails_no_call_of_clients_that_connect_anew_and_never_try_again(
    serving: story.Stage,
) -> None:
    """One that keeps its connections loses what arrives together with a pod's goodbye, and nothing
    else: a call of each connection at most (https://github.com/grpc/grpc/issues/41785)."""
    story.scale(serving, 2)
    story.watch_until(serving, story.is_scaled(2), print, 90)
    with without_retries(serving, "stream") as kept, without_retries(serving, "call") as fresh:
        before = story.change_spec(serving)
        story.watch_until(serving, story.rolled_out(before), print, 180)
        story.wait_until_gone(serving, before)
    total = fresh.events[-1]["total"]
    assert total["errors"] == {}
    assert total["answered"] == total["sent"] > 0
    total = kept.events[-1]["total"]
    assert set(total["errors"]) <= {"CANCELLED", "UNAVAILABLE"}
    assert total["answered"] > 0
    assert total["sent"] - total["answered"] <= STREAMS * 2
    assert total["lost"] == total["cut"] == 0


@contextmanager
def without_retries(stage: story.Stage, connections: str) -> Iterator[Run]:
    """Calls flow during the block from clients that take every refusal for an answer."""
    pod = LoadPod(stage.kubectl, stage.namespace, f"load-{connections}")
    pod.start(stage.images.runtime)
    flow = ("--phase", f"closed:streams={STREAMS},seconds=3600", "--connections", connections)
    try:
        with pod.running(stage.target, *flow, "--no-retries", "--timeout", "60") as run:
            yield run
    finally:
        pod.remove()
