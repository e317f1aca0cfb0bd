"""The ConfigMap with the public keys by which a pod's control port knows the operator."""

import json
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment
from llm_operator.reconcile.world import ControlAuthority, OperatorSettings
from llm_operator.render import labels, names
from llm_operator.render.child import child
from llm_operator.render.volumes import CONTROL_AUTH_KEY

AUDIENCE = "llm-operator.dev/control"


def control_auth(
    owner: LLMDeployment, settings: OperatorSettings, authority: ControlAuthority
) -> dict[str, Any]:
    """No secret: issuer, audience, subject and public keys of the operator's tokens."""
    head = child(
        "v1",
        "ConfigMap",
        names.control_auth(owner.name),
        owner=owner,
        labels=labels.common(owner.name, "runtime"),
    )
    document = {
        "issuer": authority.issuer,
        "audience": AUDIENCE,
        "subject": f"system:serviceaccount:{settings.namespace}:{settings.service_account}",
        "jwks": authority.jwks,
    }
    return {**head, "data": {CONTROL_AUTH_KEY: json.dumps(document, sort_keys=True)}}
