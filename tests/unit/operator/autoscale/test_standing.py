"""What the autoscaler is told of an LLMDeployment besides loads and pods."""

from typing import Any

import pytest

from llm_operator.autoscale.reading import Standing
from llm_operator.reconcile.scaling import standing_of
from support import worlds


def standing(status: dict[str, Any], **spec: Any) -> Standing:
    world = worlds.world({"autoscaling": {"maxReplicas": 4}, **spec}, status=status)
    assert world.deployment.spec is not None
    return standing_of(world, world.deployment.spec)


@pytest.mark.parametrize(
    ("phase", "is_rolling"), [("Progressing", True), ("Stalled", False), ("Complete", False)]
)
def test_only_a_rollout_that_gets_on_holds_pods(phase: str, is_rolling: bool) -> None:
    """One that has stalled would hold them for ever."""
    assert standing({"rollout": {"phase": phase}}).is_rolling is is_rolling
