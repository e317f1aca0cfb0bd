"""The operator's settings: one documented field per environment variable `LLM_OPERATOR_<FIELD>`.

The chart sets them. A value that cannot be used stops the start with a sentence that names it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

PREFIX = "LLM_OPERATOR_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")


class SettingsError(ValueError):
    """A setting is missing or cannot be used; the text names it, the limit and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of it. Times are in seconds."""

    namespace: str
    """Namespace of the operator's own pods: the Lease lives there."""
    service_account: str
    """ServiceAccount of the operator's pods: the subject that control ports accept."""
    pod_name: str
    """Name of this pod: the Lease's holder and the Events' reporter."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces that are served; none means all."""
    runtime_image: str
    """Image of serving pods, where an LLMDeployment names none."""
    exporter_image: str
    """Image of export Jobs."""
    image_pull_policy: str = "IfNotPresent"
    """Of both."""
    registry: str
    """host:port from which pods and kubelets read artifacts."""
    registry_push: str = ""
    """host:port to which export Jobs write them; empty takes `registry`."""
    registry_plain_http: bool = False
    """Whether both speak HTTP without TLS."""
    resync_seconds: float = 300.0
    """Every LLMDeployment is looked at again after this, whatever events were lost."""
    workers: int = 8
    """LLMDeployments reconciled at a time. One run waits for the API most of its time."""
    metrics_port: int = 9090
    """HTTP /metrics; 0 takes any free port."""
    health_port: int = 8080
    """HTTP /healthz and /readyz; 0 takes any free port."""
    control_token_file: str = "/var/run/secrets/llm-operator/control-token"  # noqa: S105  # a path
    """Projected token for the pods' control ports. The kubelet replaces it, so it is read per
    call."""
    hf_endpoint: str = ""
    """Endpoint of hf:// sources that name none; empty is the hub's own."""
    activator_enabled: bool = False
    """Whether the chart's activator is installed, so that something may scale to zero."""
    xds_enabled: bool = False
    """Whether the chart's xDS control plane is installed, so that shares hold for every call."""
    watch_nodes: bool = False
    """Whether nodes may be read: pods of a cordoned node are then replaced before they go."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    lease_seconds: float = 15.0
    """Longest time without a leader after one has died."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads the environment. Raises SettingsError for the first value that cannot be used."""
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for known in fields(cls):
            text = environ.get(PREFIX + known.name.upper())
            if text is not None and (text != "" or types[known.name] in (str, tuple[str, ...])):
                values[known.name] = _convert(known.name, text, types[known.name])
        missing = [f for f in _REQUIRED if not values.get(f)]
        if missing:
            raise SettingsError(f"{_variable(missing[0])} is not set: give it a value")
        settings = cls(**values)
        _check(settings)
        return settings


_REQUIRED = (
    "namespace",
    "service_account",
    "pod_name",
    "runtime_image",
    "exporter_image",
    "registry",
)
_LOWEST: Mapping[str, float] = {
    "resync_seconds": 1.0,
    "workers": 1,
    "lease_seconds": 3.0,
    "metrics_port": 0,
    "health_port": 0,
}
_HIGHEST: Mapping[str, float] = {
    "resync_seconds": 86_400.0,
    "workers": 100,
    "lease_seconds": 300.0,
    "metrics_port": 65_535,
    "health_port": 65_535,
}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _convert(name: str, text: str, wanted: Any) -> Any:
    if wanted is bool:
        if text not in ("true", "false"):
            raise SettingsError(f"{_variable(name)} is {text!r}: write true or false")
        return text == "true"
    if wanted in (int, float):
        return _number(name, text, wanted)
    if wanted == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _number(name: str, text: str, wanted: type[int] | type[float]) -> int | float:
    try:
        value = wanted(text)
    except ValueError as error:
        raise SettingsError(f"{_variable(name)} is {text!r}: write a number") from error
    if not _LOWEST[name] <= value <= _HIGHEST[name]:
        raise SettingsError(
            f"{_variable(name)} is {text}: it must be from {_LOWEST[name]:g} to {_HIGHEST[name]:g}"
        )
    return value


def _check(settings: Settings) -> None:
    _one_of("image_pull_policy", settings.image_pull_policy, PULL_POLICIES)
    _one_of("log_level", settings.log_level, LOG_LEVELS)
    for name in (settings.namespace, *settings.watch_namespaces):
        if not _LABEL.fullmatch(name):
            raise SettingsError(f"{name!r} is no name of a namespace")
    for field, address in (
        ("registry", settings.registry),
        ("registry_push", settings.registry_push or settings.registry),
    ):
        if not _ADDRESS.fullmatch(address):
            raise SettingsError(
                f"{_variable(field)} is {address!r}: write host:port, without a scheme or path"
            )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{_variable(name)} is {value!r}: write one of {', '.join(allowed)}")
