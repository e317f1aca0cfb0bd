"""The PodDisruptionBudget over the serving pods of all revisions."""

from typing import Any

from llm_operator.api.llmdeployment import DisruptionSpec, LLMDeployment
from llm_operator.render import labels, names
from llm_operator.render.child import child


def disruption_budget(
    owner: LLMDeployment, spec: DisruptionSpec, *, is_held: bool
) -> dict[str, Any]:
    """A pod that is not ready may always be evicted: it holds nothing up and serves nobody.

    `is_held` keeps the ready ones until the operator itself has replaced and drained them.
    """
    head = child(
        "policy/v1",
        "PodDisruptionBudget",
        names.disruption_budget(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    budget = {
        "maxUnavailable": 0 if is_held else spec.max_unavailable,
        "selector": {"matchLabels": labels.selector(owner.name, "runtime")},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return {**head, "spec": budget}
