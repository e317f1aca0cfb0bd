"""What the autoscaler is told of an LLMDeployment besides loads and pods."""

from typing import Any

import pytest

from llm_operator.autoscale.reading import Standing
from llm_operator.autoscale.reason import DecisionReason
from llm_operator.reconcile.scaling import limits_of, standing_of
from support import worlds


def standing(status: dict[str, Any], **spec: Any) -> Standing:
    world = worlds.world({"autoscaling": {"maxReplicas": 4}, **spec}, status=status)
    assert world.deployment.spec is not None
    return standing_of(world, world.deployment.spec)


def test_a_new_leader_is_told_what_status_says() -> None:
    on_record = {
        "desiredReplicas": 3,
        "reason": "Burst",
        "message": "Scaled from 1 to 3 pods: why.",
    }
    told = standing({"autoscaling": on_record})
    assert (told.current, told.reason) == (3, DecisionReason.BURST)
    assert told.message == on_record["message"]


@pytest.mark.parametrize(
    "on_record",
    [{}, {"desiredReplicas": 3, "reason": "OfALaterVersion", "message": "For what it is worth."}],
)
def test_what_status_does_not_tell_or_this_version_does_not_know_is_told_anew(
    on_record: dict[str, Any],
) -> None:
    assert standing({"autoscaling": on_record}).message == ""


@pytest.mark.parametrize(
    ("phase", "is_rolling"), [("Progressing", True), ("Stalled", False), ("Complete", False)]
)
def test_only_a_rollout_that_gets_on_holds_pods(phase: str, is_rolling: bool) -> None:
    """One that has stalled would hold them for ever."""
    assert standing({"rollout": {"phase": phase}}).is_rolling is is_rolling


@pytest.mark.parametrize(("runtime", "slots"), [({"maxConcurrentSequences": 4}, 4), ({}, 16)])
def test_the_slots_of_a_pod_are_those_of_the_spec_or_the_runtimes_own(
    runtime: dict[str, int], slots: int
) -> None:
    spec = worlds.world({"runtime": runtime}).deployment.spec
    assert spec is not None
    assert limits_of(spec).slots == slots
