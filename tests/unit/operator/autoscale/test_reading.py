"""What the autoscaler sees of pods: those that serve, leave, come, and find no node."""

from datetime import timedelta
from typing import Any

import pytest

from llm_operator.api.conditions import timestamp
from llm_operator.autoscale.reading import Heard, Standing, observation
from llm_operator.autoscale.signals import HeldCalls, PodLoad, PodState, Silence
from support import worlds

NOW = worlds.NOW.timestamp()


def a_pod(uid: str, *, ready: bool = True, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": uid,
            "name": uid,
            "labels": {"llm-operator.dev/revision": "a4df99e8"},
            "creationTimestamp": "2027-01-01T11:00:00Z",
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **status,
        },
    }


def homeless(uid: str, since: str) -> dict[str, Any]:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "lastTransitionTime": since,
    }
    return a_pod(uid, conditions=[condition])


def seen(
    *pods: dict[str, Any],
    replicas: int = 0,
    loads: dict[str, PodLoad] | None = None,
    silences: dict[str, Silence] | None = None,
    **more: Any,
) -> Any:
    standing = Standing(current=2, replicas=replicas, **more)
    heard = Heard(loads or {}, {}, silences or {}, HeldCalls(calls=1, forwarding=2))
    return observation(standing, pods, heard, NOW)


def test_ready_pods_report_or_are_silent() -> None:
    made = seen(a_pod("a"), a_pod("b"), loads={"a": worlds.load(3)})
    assert [(pod.uid, pod.load and pod.load.running) for pod in made.pods] == [
        ("a", 3),
        ("b", None),
    ]
    assert made.pods[0].revision == "a4df99e8"


def test_a_pod_that_drains_is_seen_although_it_is_not_ready() -> None:
    made = seen(a_pod("a", ready=False), loads={"a": worlds.load(state=PodState.DRAINING)})
    assert made.pods[0].is_leaving
    assert made.pending == 0


def test_what_was_asked_for_and_is_not_there_yet_comes() -> None:
    assert seen(a_pod("a"), a_pod("b", ready=False), replicas=4).pending == 3


def test_a_pod_without_a_node_is_told_apart_with_its_time() -> None:
    made = seen(homeless("a", "2027-01-01T11:50:00Z"), replicas=1)
    assert made.pending == 0
    assert made.unschedulable_since == (NOW - 600,)


def test_a_pod_that_ends_is_nothing_any_more() -> None:
    pod = a_pod("a")
    pod["metadata"]["deletionTimestamp"] = "2027-01-01T11:59:00Z"
    assert seen(pod).pods == ()


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_a_record_and_not_one_that_comes(phase: str) -> None:
    """Evicted, or on a node that was shut down: its ReplicaSet has made another one long since."""
    ended = a_pod("old", ready=False, phase=phase)
    made = seen(ended, a_pod("a"), replicas=1, loads={"a": worlds.load(1)})
    assert ([pod.uid for pod in made.pods], made.pending, made.awaited) == (["a"], 0, ())


def test_pods_that_come_are_told_by_name() -> None:
    made = seen(a_pod("a"), a_pod("b", ready=False), homeless("c", "2027-01-01T11:50:00Z"))
    assert made.awaited == ("b", "c")


def test_a_rollout_keeps_what_was_wanted() -> None:
    assert seen(is_rolling=True).rollout_floor == 2
    assert seen().rollout_floor == 0


def test_calls_that_are_forwarded_are_told_apart_from_those_that_are_held() -> None:
    """Their pods report them as well."""
    assert (seen().held, seen().forwarding) == (1, 2)


def ready_since(uid: str, seconds_ago: int) -> dict[str, Any]:
    pod = a_pod(uid)
    (ready,) = pod["status"]["conditions"]
    ready["lastTransitionTime"] = timestamp(worlds.NOW - timedelta(seconds=seconds_ago))
    return pod


def test_a_ready_pod_whose_first_word_is_awaited_is_one_that_comes() -> None:
    for pod, silence in (
        (ready_since("a", 2), Silence(60.0, is_first=True)),  # it has just become ready
        (ready_since("a", 2), Silence(60.0, is_first=False)),  # its process has started again
        (ready_since("a", 600), Silence(1.0, is_first=True)),  # we have just begun to listen
    ):
        made = seen(pod, replicas=1, silences={"a": silence})
        assert (made.pods, made.pending) == ((), 1)


def test_a_pod_whose_first_word_is_overdue_or_that_fell_silent_is_silent() -> None:
    for pod, silence in (
        (ready_since("a", 8), Silence(60.0, is_first=True)),
        (ready_since("a", 8), Silence(1.0, is_first=False)),
    ):
        made = seen(pod, replicas=1, silences={"a": silence})
        assert [report.load for report in made.pods] == [None]
