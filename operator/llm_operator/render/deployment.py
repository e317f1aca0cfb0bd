"""The Deployment of a revision."""

from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.render import labels, names
from llm_operator.render.child import child
from llm_operator.render.controller_revision import Revision


def deployment(
    owner: LLMDeployment, revision: Revision, *, replicas: int, progress_deadline_seconds: int
) -> dict[str, Any]:
    """The template comes from the revision as it was rendered when that was made."""
    head = child(
        "apps/v1",
        "Deployment",
        names.revision(owner.name, revision.hash8),
        owner=owner,
        labels=labels.of_revision(owner.name, revision.hash8),
    )
    spec = {
        "replicas": replicas,
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": progress_deadline_seconds,
        "selector": {"matchLabels": labels.revision_selector(owner.name, revision.hash8)},
        "template": revision.template,
    }
    return {**head, "spec": spec}
