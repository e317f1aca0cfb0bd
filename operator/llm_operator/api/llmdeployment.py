"""The typed LLMDeployment: what `crds/llmdeployments.yaml` admits, parsed and defaulted.

The API server validates (structural schema and CEL); this module types, defaults and normalises,
and refuses what an API server with an older CRD let through. Nothing here raises on a user's
object: what cannot be read becomes `LLMDeployment.invalid`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from llm_operator.api.source import Source, parse_uri

GROUP = "llm-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "LLMDeployment"
PLURAL = "llmdeployments"

NAME_LIMIT = 40
"""Characters of metadata.name; the rest of a DNS label is for what children append."""

ROLLOUT_ACTION = "llm-operator.dev/rollout-action"
"""Annotation with a one-shot command."""

JSON = dict[str, Any]

_UNITS = {"ms": 0.001, "s": 1.0}


def _seconds(value: object) -> object:
    """`250ms` and `1.5s` as seconds; anything else is for the validation to refuse."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s)", value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
"""Seconds; written with a unit."""


class _Fields(BaseModel):
    """A part of the spec: camelCase outside, frozen, nothing unknown."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class HuggingFaceSource(_Fields):
    repo: str
    revision: str = ""
    endpoint: str = ""


class ClaimSource(_Fields):
    claim_name: str
    path: str = ""


class HttpSource(_Fields):
    url: str
    sha256: str


class SourceSpec(_Fields):
    """Exactly one of the four; `uri` is the short form of the others."""

    uri: str | None = None
    hugging_face: HuggingFaceSource | None = None
    persistent_volume_claim: ClaimSource | None = None
    http: HttpSource | None = None

    @model_validator(mode="after")
    def _is_one_readable_source(self) -> "SourceSpec":
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of uri, huggingFace, persistentVolumeClaim, http")
        self.resolve()
        return self

    def resolve(self) -> Source:
        """The normalised source, however it was written."""
        if self.hugging_face is not None:
            revision = f"@{self.hugging_face.revision}" if self.hugging_face.revision else ""
            return parse_uri(f"hf://{self.hugging_face.repo}{revision}", self.hugging_face.endpoint)
        if self.persistent_volume_claim is not None:
            claim = self.persistent_volume_claim
            return parse_uri(f"pvc://{claim.claim_name}/{claim.path.lstrip('/')}")
        if self.http is not None:
            return parse_uri(f"{self.http.url}#sha256={self.http.sha256}")
        return parse_uri(self.uri or "")


class ExportSpec(_Fields):
    precision: Literal["auto", "fp32"] = "auto"
    resources: JSON | None = None


class ArtifactSpec(_Fields):
    mode: Literal["Fetch", "ImageVolume"] = "Fetch"


class SecretReference(_Fields):
    name: str


class CredentialsSpec(_Fields):
    secret_ref: SecretReference


class ModelSpec(_Fields):
    source: SourceSpec
    name: str | None = None
    export: ExportSpec = ExportSpec()
    artifact: ArtifactSpec = ArtifactSpec()
    credentials: CredentialsSpec | None = None


class RuntimeSpec(_Fields):
    image: str | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    env: tuple[JSON, ...] = ()
    env_from: tuple[JSON, ...] = ()
    resources: JSON = Field(default_factory=dict)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    max_context_length: int | None = Field(default=None, ge=1)
    max_concurrent_sequences: int | None = Field(default=None, ge=1)
    max_queue: int | None = Field(default=None, ge=0)
    max_queued_tokens: int | None = Field(default=None, ge=1)


class PauseStep(_Fields):
    """Without a time, until somebody promotes the revision."""

    duration_seconds: int | None = Field(default=None, ge=1, le=604_800)


class RolloutStep(_Fields):
    """Exactly one of them."""

    set_weight: int | None = Field(default=None, ge=1, le=100)
    pause: PauseStep | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "RolloutStep":
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of setWeight, pause")
        return self


class RolloutSpec(_Fields):
    strategy: Literal["RollingUpdate", "Canary"] = "RollingUpdate"
    steps: tuple[RolloutStep, ...] = ()
    max_surge: int = Field(default=1, ge=1)
    capacity_timeout_seconds: int = Field(default=900, ge=1, le=86_400)
    progress_deadline_seconds: int = Field(default=1800, ge=1)
    startup_timeout_seconds: int = Field(default=1800, ge=10)
    revision_history_limit: int = Field(default=5, ge=0)

    @model_validator(mode="after")
    def _is_a_way(self) -> "RolloutSpec":
        if self.strategy == "Canary" and not self.steps:
            raise ValueError("strategy Canary needs steps")
        weights = [step.set_weight for step in self.steps if step.set_weight is not None]
        if weights != sorted(weights):
            raise ValueError("steps: weights must not fall")
        return self


class ScalingPolicy(_Fields):
    """At most `value` pods (or per cent of the pods) more or fewer within `period_seconds`."""

    type: Literal["Pods", "Percent"]
    value: int = Field(ge=1)
    period_seconds: int = Field(ge=1, le=1800)


class ScaleUpSpec(_Fields):
    stabilization_window_seconds: int = Field(default=0, ge=0, le=3600)
    policies: tuple[ScalingPolicy, ...] = ()


class ScaleDownSpec(_Fields):
    stabilization_window_seconds: int = Field(default=300, ge=0, le=3600)
    policies: tuple[ScalingPolicy, ...] = ()


class TargetsSpec(_Fields):
    """`utilization` in per cent of what a pod can carry; the latencies are guards."""

    utilization: int = Field(default=85, ge=10, le=100)
    time_to_first_token_p90: Duration | None = Field(default=None, alias="timeToFirstTokenP90")
    inter_token_latency_p90: Duration | None = Field(default=None, alias="interTokenLatencyP90")


class PanicSpec(_Fields):
    window_seconds: int = Field(default=3, ge=1, le=60)
    threshold_percent: int = Field(default=200, ge=110, le=1000)


class ScaleToZeroSpec(_Fields):
    after_seconds: int = Field(default=600, ge=5, le=86_400)
    hold_timeout_seconds: int = Field(default=300, ge=1, le=3600)
    max_held: int = Field(default=1000, ge=1, le=10_000)


class ScheduleSpec(_Fields):
    """A floor that holds from each time that `cron` names in `time_zone`, for so long."""

    cron: str
    time_zone: str = "Etc/UTC"
    duration_seconds: int = Field(ge=60, le=604_800)
    min_replicas: int = Field(ge=1)


class AutoscalingSpec(_Fields):
    """Present: the operator owns the number of pods."""

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(ge=1)
    mode: Literal["Active", "Advisory"] = "Active"
    metric: Literal["Tokens", "Concurrency"] = "Tokens"
    targets: TargetsSpec = TargetsSpec()
    scale_up: ScaleUpSpec = ScaleUpSpec()
    scale_down: ScaleDownSpec = ScaleDownSpec()
    stable_window_seconds: int = Field(default=60, ge=5, le=600)
    panic: PanicSpec = PanicSpec()
    scale_to_zero: ScaleToZeroSpec = ScaleToZeroSpec()
    schedules: tuple[ScheduleSpec, ...] = ()

    @model_validator(mode="after")
    def _is_possible(self) -> "AutoscalingSpec":
        if self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas is greater than maxReplicas")
        if self.panic.window_seconds > self.stable_window_seconds:
            raise ValueError("panic.windowSeconds is greater than stableWindowSeconds")
        if any(schedule.min_replicas > self.max_replicas for schedule in self.schedules):
            raise ValueError("a schedule's minReplicas is greater than maxReplicas")
        return self


class DrainSpec(_Fields):
    timeout_seconds: int = Field(default=300, ge=0)


class ServiceSpec(_Fields):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: int = Field(default=50051, ge=1024, le=65535)
    annotations: dict[str, str] = Field(default_factory=dict)


class ParentRef(_Fields):
    """A Gateway, or one listener of it; in the object's own namespace unless it says otherwise."""

    name: str
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = Field(default=None, ge=1, le=65_535)


class GatewaySpec(_Fields):
    """Present: clients come in through these Gateways as well."""

    parent_refs: tuple[ParentRef, ...] = Field(min_length=1)
    hostnames: tuple[str, ...] = ()


class RoutingSpec(_Fields):
    policy: Literal["LeastLoad", "RoundRobin", "PrefixAffinity"] = "LeastLoad"
    request_timeout_seconds: int = Field(default=600, ge=1)
    max_connection_age_seconds: int = Field(default=600, ge=1)
    gateway: GatewaySpec | None = None


class DisruptionSpec(_Fields):
    max_unavailable: int | str = 1


class IdentitySpec(_Fields):
    service_account_name: str | None = None
    image_pull_secrets: tuple[SecretReference, ...] = ()


class SchedulingSpec(_Fields):
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[JSON, ...] = ()
    affinity: JSON | None = None
    topology_spread_constraints: tuple[JSON, ...] | None = None
    """None takes the operator's soft spread over nodes; an empty list asks for none."""
    priority_class_name: str | None = None
    runtime_class_name: str | None = None


class LLMDeploymentSpec(_Fields):
    model: ModelSpec
    runtime: RuntimeSpec = RuntimeSpec()
    replicas: int = Field(default=1, ge=0)
    autoscaling: AutoscalingSpec | None = None
    rollout: RolloutSpec = RolloutSpec()
    drain: DrainSpec = DrainSpec()
    service: ServiceSpec = ServiceSpec()
    routing: RoutingSpec = RoutingSpec()
    disruption: DisruptionSpec = DisruptionSpec()
    identity: IdentitySpec = IdentitySpec()
    scheduling: SchedulingSpec = SchedulingSpec()
    suspend: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMDeployment:
    """One object as read from the API server."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: LLMDeploymentSpec | None
    """None where `invalid` says why."""
    invalid: str | None = None
    """One sentence that names the field."""
    is_being_deleted: bool = False
    status: Mapping[str, Any]
    """As stored; empty where there is none."""
    rollout_action: str | None = None
    """The one-shot command `<action>@<revision>`, as it was written."""


def parse_llmdeployment(manifest: Mapping[str, Any]) -> LLMDeployment:
    """The typed object of a raw one. Never raises on a bad spec: see `LLMDeployment.invalid`."""
    metadata = manifest["metadata"]
    spec, invalid = _parse_spec(manifest.get("spec") or {})
    return LLMDeployment(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        spec=spec,
        invalid=invalid,
        is_being_deleted="deletionTimestamp" in metadata,
        status=manifest.get("status") or {},
        rollout_action=(metadata.get("annotations") or {}).get(ROLLOUT_ACTION),
    )


def _parse_spec(raw: Mapping[str, Any]) -> tuple[LLMDeploymentSpec | None, str | None]:
    try:
        return LLMDeploymentSpec.model_validate(raw), None
    except ValidationError as error:
        return None, "; ".join(_sentence(dict(e)) for e in error.errors(include_url=False))


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(["spec", *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        return f"{where}: this version of the operator does not know the field: upgrade it"
    return f"{where}: {str(error['msg']).removeprefix('Value error, ')}"
