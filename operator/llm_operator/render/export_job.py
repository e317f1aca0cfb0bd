"""The export Job: fetch, export, verify and push, one container each, in one pod."""

from dataclasses import dataclass
from typing import Any

from llm_operator.api.llmdeployment import LLMDeployment, LLMDeploymentSpec
from llm_operator.api.source import Source
from llm_operator.reconcile.world import OperatorSettings
from llm_operator.render import environment, labels, names, security, volumes
from llm_operator.render.artifact import REPOSITORY
from llm_operator.render.child import child
from llm_operator.render.resources import with_default_requests
from llm_operator.render.revision import DEFAULT_PRECISION, export_key, export_settings_hash

WORK_DIR = "/work"
SOURCE_DIR = "/source"
CREDENTIALS_DIR = "/etc/llm/credentials"

ATTEMPT = "llm-operator.dev/attempt"
"""Annotation: how many Jobs there were for this export, this one included."""
SETTINGS_HASH = "llm-operator.dev/export-settings"
"""Annotation: what the user asked of the Job beyond its key. Another value replaces the Job."""


@dataclass(frozen=True, slots=True)
class Export:
    """What an export Job is rendered from."""

    deployment: LLMDeployment
    spec: LLMDeploymentSpec
    settings: OperatorSettings
    attempt: int = 1

    @property
    def source(self) -> Source:
        return self.spec.model.source.resolve()


def export_job(export: Export) -> dict[str, Any]:
    """A Job is never changed, only replaced: its pod template is immutable."""
    name = export.deployment.name
    pod_labels = labels.common(name, "export")
    head = child(
        "batch/v1",
        "Job",
        names.export_job(name, export_key(export.spec)),
        owner=export.deployment,
        labels=pod_labels,
    )
    head["metadata"]["annotations"] = {
        ATTEMPT: str(export.attempt),
        SETTINGS_HASH: export_settings_hash(export.spec),
    }
    template = {"metadata": {"labels": pod_labels}, "spec": _pod(export)}
    return {**head, "spec": {"backoffLimit": 0, "template": template}}


def _pod(export: Export) -> dict[str, Any]:
    secrets = [{"name": secret.name} for secret in export.spec.identity.image_pull_secrets]
    *first, last = (_container(export, step) for step in names.EXPORT_STEPS)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": names.service_account(export.deployment.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security.pod_security(),
        **({"imagePullSecrets": secrets} if secrets else {}),
        "initContainers": first,
        "containers": [last],
        "volumes": _volumes(export),
    }


def _container(export: Export, step: str) -> dict[str, Any]:
    return {
        "name": step,
        "image": export.settings.exporter_image,
        "imagePullPolicy": export.settings.image_pull_policy,
        "args": ["job", step],
        "env": [*_env(export, step), *environment.contract(step)],
        "ports": [{"name": "control", "containerPort": environment.CONTROL_PORT}],
        "resources": with_default_requests(export.spec.model.export.resources or {}),
        "securityContext": security.container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(export, step),
    }


def _env(export: Export, step: str) -> environment.Env:
    source, settings = export.source, export.settings
    precision = export.spec.model.export.precision
    registry = settings.registry_push or settings.registry
    has_credentials = step == "fetch" and export.spec.model.credentials is not None
    endpoint = source.endpoint or (settings.hf_endpoint if source.scheme == "hf" else "")
    return environment.values(
        {
            "LLM_SOURCE_URI": source.job_uri,
            "LLM_SOURCE_ENDPOINT": endpoint or None,
            "LLM_SOURCE_TOKEN_FILE": CREDENTIALS_DIR if has_credentials else None,
            "LLM_EXPORT_PRECISION": DEFAULT_PRECISION if precision == "auto" else precision,
            "LLM_WORK_DIR": WORK_DIR,
            "LLM_ARTIFACT_REPOSITORY": f"{registry}/{REPOSITORY}",
            "LLM_REGISTRY_PLAIN_HTTP": environment.flag(settings.registry_plain_http),
        }
    )


def _volumes(export: Export) -> list[dict[str, Any]]:
    work: dict[str, Any] = {"name": "work", "emptyDir": _scratch(export)}
    found = [work, volumes.tmp(), volumes.control_auth(export.deployment.name)]
    if export.source.scheme == "pvc":
        claim = {"claimName": export.source.claim, "readOnly": True}
        found.append({"name": "source", "persistentVolumeClaim": claim})
    if export.spec.model.credentials is not None:
        secret = {"secretName": export.spec.model.credentials.secret_ref.name}
        found.append({"name": "credentials", "secret": secret})
    return found


def _scratch(export: Export) -> dict[str, Any]:
    limits = (export.spec.model.export.resources or {}).get("limits") or {}
    size = limits.get("ephemeral-storage")
    return {"sizeLimit": size} if size else {}


def _mounts(export: Export, step: str) -> list[dict[str, Any]]:
    found = [{"name": "work", "mountPath": WORK_DIR}, *volumes.common_mounts()]
    if export.source.scheme == "pvc" and step == "fetch":
        found.append({"name": "source", "mountPath": SOURCE_DIR, "readOnly": True})
    if export.spec.model.credentials is not None and step == "fetch":
        found.append({"name": "credentials", "mountPath": CREDENTIALS_DIR, "readOnly": True})
    return found
