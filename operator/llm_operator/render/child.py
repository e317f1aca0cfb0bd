"""What all children share: metadata with labels and the controller's owner reference."""

from typing import Any

from llm_operator.api import llmdeployment as api
from llm_operator.api.llmdeployment import LLMDeployment


def child(
    api_version: str, kind: str, name: str, *, owner: LLMDeployment, labels: dict[str, str]
) -> dict[str, Any]:
    """The head of a child; garbage collection removes it with its owner."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(owner)],
        },
    }


def owner_reference(owner: LLMDeployment) -> dict[str, Any]:
    return {
        "apiVersion": api.API_VERSION,
        "kind": api.KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
