"""A revision's record: the intent and the pod template as they were when it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.render import labels, names
from llm_operator.render.artifact import Artifact, artifact_from_json
from llm_operator.render.child import child


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision of an LLMDeployment."""

    hash8: str
    number: int
    """Higher is newer; a revision that is returned to becomes the newest."""
    intent: Mapping[str, Any]
    export_key: str
    """key8 of the export whose artifact it serves."""
    artifact: Artifact
    template: Mapping[str, Any]
    """PodTemplateSpec."""


def controller_revision(owner: LLMDeployment, revision: Revision) -> dict[str, Any]:
    """The record. Its `data` never changes (the API server sees to it), only its number."""
    head = child(
        "apps/v1",
        "ControllerRevision",
        names.revision(owner.name, revision.hash8),
        owner=owner,
        labels=labels.of_revision(owner.name, revision.hash8),
    )
    data = {
        "intent": revision.intent,
        "exportKey": revision.export_key,
        "artifact": revision.artifact.to_json(),
        "template": revision.template,
    }
    return {**head, "revision": revision.number, "data": data}


def renumbered(
    owner: LLMDeployment, record: Mapping[str, Any], revision: Revision
) -> dict[str, Any]:
    """An existing record with another number; its data as stored, whoever wrote it."""
    return {**controller_revision(owner, revision), "data": record["data"]}


def revision_from_record(record: Mapping[str, Any]) -> Revision:
    """Inverse of `controller_revision`."""
    data = record["data"]
    return Revision(
        hash8=record["metadata"]["name"].rpartition("-")[2],
        number=int(record["revision"]),
        intent=data["intent"],
        export_key=data["exportKey"],
        artifact=artifact_from_json(data["artifact"]),
        template=data["template"],
    )
