"""The activator's settings: one documented field per environment variable `LLM_ACTIVATOR_<FIELD>`.

The chart sets them. A value that cannot be used stops the start with a sentence that names it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import BeforeValidator

from llm_operator.settings import LOG_LEVELS, SettingsError

PREFIX = "LLM_ACTIVATOR_"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LARGEST = 64 << 20

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


def _names(text: object) -> object:
    """A comma-separated list of namespaces."""
    if not isinstance(text, str):
        return text
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a namespace")
    return names


def _level(text: object) -> object:
    if text not in LOG_LEVELS:
        raise ValueError(f"write one of {', '.join(LOG_LEVELS)}")
    return text


class Settings(BaseModel):
    """All of it. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True)

    operator_namespace: str = Field(min_length=1)
    """Namespace of the operator."""
    operator_service_account: str = Field(min_length=1)
    """Its ServiceAccount: the one that may ask what is held."""
    watch_namespaces: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Namespaces that are served; none means all."""
    control_port: Port = 50_052
    """gRPC: what is held, for the operator."""
    metrics_port: Port = 9090
    """HTTP /metrics."""
    health_port: Port = 8080
    """HTTP /healthz and /readyz."""
    log_level: Annotated[str, BeforeValidator(_level)] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    max_held_bytes: int = Field(default=192 << 20, ge=1 << 20, le=1 << 40)
    """Requests held in memory, of all LLMDeployments together."""
    max_message_bytes: int = Field(default=1 << 20, ge=1 << 10, le=_LARGEST)
    """The largest message in either direction; the runtime's own limit is 1 MiB."""
    connection_age_seconds: Seconds = 5.0
    """After this a client's connection is sent away, so that the next one goes where the Service
    points then; its calls go on."""
    leave_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 10.0
    """After SIGTERM: unready, but still there for who comes, for so long: until nobody is sent here
    any more, and the connections of all who were have been sent away by their age."""
    grace_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 590.0
    """After that: for so long the calls go on that a pod answers; held ones are sent away."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads the environment. Raises SettingsError for the first value that cannot be used."""
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            text = environ.get(PREFIX + name.upper(), "")
            if text != "":
                values[name] = text
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    variable = PREFIX + str(first["loc"][0]).upper()
    if first["type"] == "missing":
        return f"{variable} is not set: give it a value"
    return f"{variable} is {first['input']!r}: {first['msg']}"
