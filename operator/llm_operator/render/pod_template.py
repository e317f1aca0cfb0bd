"""The pod of a revision: fetches the artifact (or has it mounted) and serves it."""

from dataclasses import dataclass
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, LLMDeploymentSpec
from llm_operator.reconcile.world import OperatorSettings
from llm_operator.render import environment, labels, names, security, volumes
from llm_operator.render.artifact import Artifact
from llm_operator.render.resources import cpu_and_memory_only, with_default_requests

MODEL_DIR = "/model"

DRAIN_MARGIN_SECONDS = 30
"""Grace period beyond the drain limit: lame duck, last messages, unloading."""

LAME_DUCK_SECONDS = 5

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Serving:
    """What a pod template is rendered from."""

    deployment: LLMDeployment
    spec: LLMDeploymentSpec
    hash8: str
    artifact: Artifact
    settings: OperatorSettings


def pod_template(serving: Serving) -> dict[str, Any]:
    """The PodTemplateSpec, kept as it is in the revision's ControllerRevision."""
    name, spec = serving.deployment.name, serving.spec
    is_fetched = spec.model.artifact.mode == "Fetch"
    pod = {
        "serviceAccountName": spec.identity.service_account_name or names.service_account(name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": spec.drain.timeout_seconds + DRAIN_MARGIN_SECONDS,
        "securityContext": security.pod_security(),
        **_identity(spec),
        **_scheduling(serving),
        **({"initContainers": [_fetch(serving)]} if is_fetched else {}),
        "containers": [_runtime(serving)],
        "volumes": [_model_volume(serving), volumes.tmp(), volumes.control_auth(name)],
    }
    metadata = {
        "labels": labels.of_revision(name, serving.hash8),
        "annotations": {"kubectl.kubernetes.io/default-container": names.RUNTIME_CONTAINER},
    }
    return {"metadata": metadata, "spec": pod}


def _identity(spec: LLMDeploymentSpec) -> dict[str, Any]:
    secrets = [{"name": secret.name} for secret in spec.identity.image_pull_secrets]
    return {"imagePullSecrets": secrets} if secrets else {}


def _scheduling(serving: Serving) -> dict[str, Any]:
    given = serving.spec.scheduling.model_dump(by_alias=True, exclude_none=True, mode="json")
    given.setdefault("topologySpreadConstraints", [_spread_over_nodes(serving)])
    return {key: value for key, value in given.items() if value}


def _spread_over_nodes(serving: Serving) -> dict[str, Any]:
    selector = labels.revision_selector(serving.deployment.name, serving.hash8)
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector},
    }


def _image(serving: Serving) -> dict[str, Any]:
    runtime, settings = serving.spec.runtime, serving.settings
    return {
        "image": runtime.image or settings.runtime_image,
        "imagePullPolicy": runtime.image_pull_policy or settings.image_pull_policy,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": security.container_security(),
    }


def _fetch(serving: Serving) -> dict[str, Any]:
    reference = serving.artifact.reference(serving.settings.registry)
    plain_http = environment.flag(serving.settings.registry_plain_http)
    return {
        "name": names.FETCH_CONTAINER,
        **_image(serving),
        "args": ["fetch", f"oci://{reference}", MODEL_DIR],
        "env": [
            *environment.values({"LLM_REGISTRY_PLAIN_HTTP": plain_http}),
            *environment.contract(names.FETCH_CONTAINER),
        ],
        "resources": cpu_and_memory_only(with_default_requests(serving.spec.runtime.resources)),
        "volumeMounts": [{"name": "model", "mountPath": MODEL_DIR}, *volumes.common_mounts()],
    }


def _model_volume(serving: Serving) -> dict[str, Any]:
    if serving.spec.model.artifact.mode == "ImageVolume":
        reference = serving.artifact.reference(serving.settings.registry)
        return {
            "name": "model",
            "image": {"reference": reference, "pullPolicy": "IfNotPresent"},
        }
    size = serving.artifact.size_bytes * 11 // 10 // _MEBIBYTE + 64
    return {"name": "model", "emptyDir": {"sizeLimit": f"{size}Mi"}}


def _runtime(serving: Serving) -> dict[str, Any]:
    runtime = serving.spec.runtime
    env_from = list(runtime.env_from)
    return {
        "name": names.RUNTIME_CONTAINER,
        **_image(serving),
        "args": ["serve"],
        "env": [*_runtime_env(serving), *runtime.env],
        **({"envFrom": env_from} if env_from else {}),
        "resources": with_default_requests(runtime.resources),
        "ports": [
            {"name": "grpc", "containerPort": serving.spec.service.port},
            {"name": "control", "containerPort": environment.CONTROL_PORT},
            {"name": "metrics", "containerPort": environment.METRICS_PORT},
        ],
        **_probes(serving.spec),
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            *volumes.common_mounts(),
        ],
    }


def _runtime_env(serving: Serving) -> environment.Env:
    name, spec = serving.deployment.name, serving.spec
    fixed: dict[str, str | int | None] = {
        "LLM_MODEL_DIR": MODEL_DIR,
        "LLM_MODEL_NAME": spec.model.name or name,
        "LLM_MODEL_DIGEST": serving.artifact.digest,
        "LLM_DEPLOYMENT": name,
        "LLM_NAMESPACE": serving.deployment.namespace,
        "LLM_REVISION": serving.hash8,
        "LLM_DATA_PORT": spec.service.port,
        "LLM_METRICS_PORT": environment.METRICS_PORT,
        "LLM_DRAIN_TIMEOUT_SECONDS": spec.drain.timeout_seconds,
        "LLM_LAME_DUCK_SECONDS": LAME_DUCK_SECONDS,
        "LLM_REQUEST_TIMEOUT_SECONDS": spec.routing.request_timeout_seconds,
        "LLM_MAX_CONNECTION_AGE_SECONDS": spec.routing.max_connection_age_seconds,
    }
    limits: dict[str, str | int | None] = {
        "LLM_MAX_CONTEXT_LENGTH": spec.runtime.max_context_length,
        "LLM_MAX_CONCURRENT_SEQUENCES": spec.runtime.max_concurrent_sequences,
        "LLM_MAX_QUEUE": spec.runtime.max_queue,
        "LLM_MAX_QUEUED_TOKENS": spec.runtime.max_queued_tokens,
    }
    return [
        *environment.values({**fixed, **limits}),
        environment.from_field("LLM_POD_NAME", "metadata.name"),
        environment.from_limit("LLM_CPU_LIMIT", names.RUNTIME_CONTAINER, "cpu", "1m"),
        *environment.contract(names.RUNTIME_CONTAINER),
    ]


def _probes(spec: LLMDeploymentSpec) -> dict[str, Any]:
    startup_seconds = spec.rollout.startup_timeout_seconds
    return {
        "startupProbe": _probe("startup", period=1, failures=startup_seconds),
        "readinessProbe": _probe("readiness", period=2, failures=3),
        "livenessProbe": _probe("liveness", period=10, failures=6),
    }


def _probe(service: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "grpc": {"port": environment.CONTROL_PORT, "service": service},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
