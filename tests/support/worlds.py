"""Builders of worlds for the tests of the operator's pure half."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, parse_llmdeployment
from llm_operator.autoscale.decision import Condition, Decision
from llm_operator.autoscale.memory import Memory
from llm_operator.autoscale.reason import ConditionReason, DecisionReason
from llm_operator.autoscale.signals import PodLoad, PodState
from llm_operator.reconcile.world import ControlAuthority, OperatorSettings, World

NOW = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)
UID = "7d2a8e6c-0000-4000-8000-000000000001"
DIGEST = "sha256:" + "d1" * 32

SETTINGS = OperatorSettings(
    namespace="llm-system",
    service_account="llm-operator",
    runtime_image="localhost/llm-operator/runtime:1",
    exporter_image="localhost/llm-operator/exporter:1",
    registry="llm-operator-registry.llm-system.svc:5000",
    registry_push="llm-operator-registry-push.llm-system.svc:5001",
    registry_plain_http=True,
)

AUTHORITY = ControlAuthority(
    issuer="https://kubernetes.default.svc",
    jwks={"keys": [{"kid": "one", "kty": "RSA", "alg": "RS256", "n": "AQAB", "e": "AQAB"}]},
)

FRESH_STATUS = {
    "observedGeneration": -1,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "Waiting for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ],
}


def manifest(
    spec: Mapping[str, Any] | None = None,
    *,
    uri: str = "hf://llm/demo@main",
    name: str = "demo",
    generation: int = 1,
    status: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A raw LLMDeployment: the minimal one, and what `spec` puts over it."""
    whole = {"model": {"source": {"uri": uri}}, "replicas": 1, **(spec or {})}
    metadata = {"name": name, "namespace": "default", "uid": UID, "generation": generation}
    return {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": metadata,
        "spec": whole,
        "status": dict(FRESH_STATUS if status is None else status),
    }


def world(spec: Mapping[str, Any] | None = None, **changes: Any) -> World:
    """A World around the minimal object; `changes` are fields of World, or `uri` and `name`."""
    named = {key: changes.pop(key) for key in ("uri", "name", "status") if key in changes}
    made = World(
        now=NOW,
        deployment=parse_llmdeployment(manifest(spec, **named)),
        settings=SETTINGS,
        control_authority=AUTHORITY,
    )
    return replace(made, **changes)


def load(requests: int = 0, state: PodState = PodState.SERVING) -> PodLoad:
    """What a pod of four slots says that works on so many requests."""
    return PodLoad(
        running=min(4, requests),
        waiting=max(0, requests - 4),
        tokens_held=100 * min(4, requests),
        prompt_tokens_queued=50 * max(0, requests - 4),
        capacity_tokens=4 * 512,
        slots=4,
        state=state,
        mean_prompt=50.0,
        mean_output=100.0,
        received=requests,
    )


def decision(desired: int, now: datetime = NOW, **changes: Any) -> Decision:
    """The autoscaler's wish for so many pods."""
    made = Decision(
        desired=desired,
        reason=DecisionReason.STEADY,
        message="as the test wants it",
        memory=Memory.after_restart(desired, now.timestamp()),
        condition=Condition(True, ConditionReason.SCALING_ACTIVE),
    )
    return replace(made, **changes)


def seconds_later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def settings(**changes: Any) -> OperatorSettings:
    return replace(SETTINGS, **changes)


def parse(raw: Mapping[str, Any]) -> LLMDeployment:
    return parse_llmdeployment(raw)
