"""The ServiceAccount of runtime and export pods: a name without a token."""

from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.render import labels, names
from llm_operator.render.child import child


def service_account(owner: LLMDeployment) -> dict[str, Any]:
    head = child(
        "v1",
        "ServiceAccount",
        names.service_account(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    return {**head, "automountServiceAccountToken": False}
