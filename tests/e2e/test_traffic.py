"""Shares of calls on real pods, counted by unmodified clients."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bench import shares
from demo import canary, story

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
SIGMAS = 4.5
"""A true share is further off once in a hundred thousand runs."""


def serve(stage: story.Stage) -> None:
    """The six lines with a small request: other tests' pods are on the two nodes as well, and a
    canary's stand beside the stable ones."""
    text = story.minimal(stage)
    small = text.replace("limits:", "requests: {cpu: 50m, memory: 256Mi}, limits:")
    assert small != text
    stage.kubectl.apply(small, "-n", stage.namespace)
    story.watch_until(stage, story.is_ready, print, 180)


@pytest.fixture(scope="module")
def split(cluster: story.Stage) -> Iterator[story.Stage]:
    """An LLMDeployment whose next revision gets a tenth of the calls and waits."""
    own = replace(cluster, name="t-canary")
    story.remove(own)  # a killed run may have left it
    serve(own)
    canary.begin(own)
    story.watch_until(own, canary.is_paused(), print, 120)
    yield own
    story.remove(own)


def pods_of(stage: story.Stage, field: str) -> tuple[str, ...]:
    """Names of the pods of `currentRevision` or `stableRevision`."""
    revision = story.deployment(stage)["status"][field]
    return tuple(
        pod["metadata"]["name"]
        for pod in story.runtime_pods(stage)
        if pod["metadata"]["labels"]["llm-operator.dev/revision"] == revision
    )


def test_a_canary_gets_its_share_of_an_unmodified_clients_calls(split: story.Stage) -> None:
    counts = canary.count_pods(split)
    new, old = pods_of(split, "currentRevision"), pods_of(split, "stableRevision")
    assert sum(counts.values()) == canary.CALLS
    assert set(counts) <= {*new, *old}
    assert shares.sigmas_off(counts, new, canary.PERCENT) < SIGMAS


def test_the_share_is_told_in_table_status_and_events(split: story.Stage) -> None:
    table = split.kubectl("get", "llmd", split.name, "-n", split.namespace)
    header, row = (line.split() for line in table.splitlines()[:2])
    assert row[header.index("ROLLOUT")] == "Paused"
    assert row[header.index("WEIGHT")] == str(canary.PERCENT)
    progressing = story.condition(story.deployment(split), "Progressing")
    assert "promote@" in progressing["message"]
    events = split.kubectl("get", "events", "-n", split.namespace)
    assert "calls are shared: 90 % to revision" in events


@pytest.mark.parametrize("by_name", [True, False], ids=["xDS", "Service"])
def test_a_promoted_canary_takes_over_while_requests_flow_and_none_fails(
    stage: story.Stage, by_name: bool
) -> None:
    """Only what comes over xDS has the share that the status says."""
    serve(stage)
    flow = story.FlowingRequests(stage, 240, by_name=by_name)
    try:
        canary.begin(stage)
        story.watch_until(stage, canary.is_paused(verified=by_name), print, 120)
        old = pods_of(stage, "stableRevision")
        canary.promote(stage)
        story.watch_until(stage, canary.is_complete, print, 120)
        counts = canary.count_pods(stage, 50)
    finally:
        counted = flow.stop()
    assert not set(counts) & set(old)
    assert counted.answered > 0
    assert counted.failed == 0, counted.errors


def test_an_aborted_canary_gives_every_call_back_and_none_fails(stage: story.Stage) -> None:
    serve(stage)
    flow = story.FlowingRequests(stage, 240, by_name=True)
    try:
        canary.begin(stage, [{"setWeight": 50}, {"pause": {}}])
        story.watch_until(stage, canary.is_paused(50), print, 120)
        new = pods_of(stage, "currentRevision")
        canary.say(stage, "abort")
        story.watch_until(stage, canary.is_taken_back, print, 60)
        counts = canary.count_pods(stage, 100)
    finally:
        counted = flow.stop()
    assert not set(counts) & set(new)
    assert counted.answered > 0
    assert counted.failed == 0, counted.errors
    healthy = story.condition(story.deployment(stage), "RolloutHealthy")
    assert (healthy["status"], healthy["reason"]) == ("False", "Aborted")


def test_a_canary_that_crashes_is_taken_back_by_itself_and_answers_nobody(
    stage: story.Stage,
) -> None:
    serve(stage)
    flow = story.FlowingRequests(stage, 240, by_name=True)
    try:
        steps = {"strategy": "Canary", "steps": [{"setWeight": 50}]}
        crash = {"name": "PYTHONHOME", "value": "/nowhere"}
        story.patch_spec(stage, {"rollout": steps, "runtime": {"env": [crash]}})
        story.watch_until(stage, canary.is_taken_back, print, 180)
    finally:
        counted = flow.stop()
    assert counted.answered > 0
    assert counted.failed == 0, counted.errors
    abort = story.deployment(stage)["status"]["rollout"]["abort"]
    assert abort["reason"] == "CrashLoopBackOff"
