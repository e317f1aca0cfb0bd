"""What a revision and an export are called: hashes of the normalised intent of the user.

Only what the user asked for is hashed, never what this operator makes of it, so an upgrade of the
operator changes no hash. A field that is absent or has its default is not hashed, so that a new
field changes none either (a golden test holds that).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, LLMDeploymentSpec
from llm_operator.render.quantity import canonical_quantity

Intent = dict[str, Any]

DEFAULT_PRECISION = "fp32"
"""What `auto` means on a CPU, the only device there is."""


def intent_of(deployment: LLMDeployment, spec: LLMDeploymentSpec) -> Intent:
    """Every field of the spec that reaches a runtime pod, normalised, and no other."""
    runtime, routing = _given(spec.runtime), _given(spec.routing)
    for field in ("policy", "gateway"):  # clients and gateways are told, pods are not
        routing.pop(field, None)
    runtime.pop("device", None)  # always cpu here: policies refuse the rest
    if "resources" in runtime:
        runtime["resources"] = _resources(spec.runtime.resources)
    return _pruned_intent(
        {
            "model": _model(deployment, spec),
            "runtime": runtime,
            "scheduling": _given(spec.scheduling),
            "identity": _given(spec.identity),
            "drain": _given(spec.drain),
            "routing": routing,
            "service": {"port": _given(spec.service).get("port")},
        }
    )


def revision_hash(intent: Intent) -> str:
    """8 hexadecimal digits that name a revision."""
    return _hash8(intent)


def export_intent(spec: LLMDeploymentSpec) -> Intent:
    """What decides the content of an export, as the operator knows it."""
    source = spec.model.source.resolve()
    return _pruned_intent(
        {"source": source.uri, "endpoint": source.endpoint, "precision": _precision(spec)}
    )


def export_key(spec: LLMDeploymentSpec) -> str:
    """8 hexadecimal digits that name the export Job."""
    return _hash8(export_intent(spec))


def export_settings_hash(spec: LLMDeploymentSpec) -> str:
    """8 hexadecimal digits over what the user asked of the Job and what does not change its result:
    a Job that has not succeeded is replaced when they change."""
    export = _given(spec.model.export)
    if spec.model.export.resources:
        export["resources"] = _resources(spec.model.export.resources)
    asked = {
        "export": export,
        "credentials": spec.model.credentials and _given(spec.model.credentials),
        "imagePullSecrets": _given(spec.identity).get("imagePullSecrets"),
    }
    return _hash8(_pruned_intent(asked))


def _model(deployment: LLMDeployment, spec: LLMDeploymentSpec) -> Intent:
    name = spec.model.name
    return {
        **export_intent(spec),
        "name": None if name == deployment.name else name,
        "artifact": _given(spec.model.artifact),
    }


def _precision(spec: LLMDeploymentSpec) -> str | None:
    precision = spec.model.export.precision
    return None if precision in ("auto", DEFAULT_PRECISION) else precision


def _given(part: Any) -> Intent:
    dumped: Intent = part.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return dumped


def _resources(resources: Mapping[str, Any]) -> Intent:
    amounts = ("limits", "requests")
    return {
        key: {name: canonical_quantity(value) for name, value in given.items()}
        if key in amounts
        else given
        for key, given in resources.items()
    }


def _pruned_intent(intent: Intent) -> Intent:
    """Without keys whose value is absent or empty. A list keeps its items, an explicit `[]` too."""
    pruned = {
        key: _pruned_intent(item) if isinstance(item, dict) else item
        for key, item in intent.items()
    }
    return {key: item for key, item in pruned.items() if item is not None and item not in ("", {})}


def _hash8(intent: Intent) -> str:
    text = json.dumps(intent, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
