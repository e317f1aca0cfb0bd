"""Settings from environment variables, for the processes beside the operator.

A value that cannot be used stops the start with a sentence that names it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import BeforeValidator

from llm_operator.settings import LOG_LEVELS, SettingsError

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


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


Port = Annotated[int, Field(ge=0, le=65_535)]
"""0 takes any free one."""
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Namespaces = Annotated[tuple[str, ...], BeforeValidator(_names)]
LogLevel = Annotated[str, BeforeValidator(_level)]


class Environment(BaseModel):
    """One documented field per variable `<PREFIX><FIELD>`; the chart sets them."""

    model_config = ConfigDict(frozen=True)

    PREFIX: ClassVar[str]

    operator_namespace: str = Field(min_length=1)
    """Namespace of the operator."""
    operator_service_account: str = Field(min_length=1)
    """Its ServiceAccount: the one that may call the control port."""
    watch_namespaces: Namespaces = ()
    """Namespaces that are served; none means all."""
    control_port: Port = 50_052
    """gRPC, for the operator."""
    metrics_port: Port = 9090
    """HTTP /metrics."""
    health_port: Port = 8080
    """HTTP /healthz and /readyz."""
    log_level: LogLevel = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Reads the environment. Raises SettingsError for the first value that cannot be used."""
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            text = environ.get(cls.PREFIX + name.upper(), "")
            if text != "":
                values[name] = text
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_sentence(cls.PREFIX, error)) from error

    @property
    def operator_subject(self) -> str:
        """The operator as the API server names it."""
        return f"system:serviceaccount:{self.operator_namespace}:{self.operator_service_account}"


def _sentence(prefix: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    variable = prefix + str(first["loc"][0]).upper()
    if first["type"] == "missing":
        return f"{variable} is not set: give it a value"
    return f"{variable} is {first['input']!r}: {first['msg']}"
