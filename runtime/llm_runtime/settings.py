"""Every setting of `llm-runtime serve`, read from the environment that the operator renders."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Port = Annotated[int, Field(ge=0, le=65535)]
# An empty variable means the same as none, because templates render absent values so.
EmptyIsNone = BeforeValidator(lambda value: None if value == "" else value)
Count = Annotated[int | None, Field(ge=1), EmptyIsNone]


class SettingsError(Exception):
    """A variable has a value that cannot be used; the text names it."""


class ServeSettings(BaseModel):
    """The environment of a runtime pod. Field NAME is read from LLM_NAME."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_dir: Path = Path("/model")
    """Folder of the artifact."""
    model_name: str = Field(default="model", min_length=1, max_length=253)
    """The name that requests may ask for."""
    model_digest: str = ""
    """The artifact's image digest, for GetModelInfo and logs."""
    deployment: str = ""
    namespace: str = ""
    revision: str = ""
    pod_name: str = ""
    """Who this is: fields of every log line."""
    host: str = "[::]"
    """Address that all ports listen on."""
    data_port: Port = 50051
    control_port: Port = 50052
    metrics_port: Port = 9090
    """0 takes any free port (tests)."""
    max_context_length: Count = None
    """Tokens of prompt and answer; unset takes the model's own, or what fits the memory."""
    max_concurrent_sequences: Count = None
    """Sequences at a time; unset takes 16, or what fits the memory."""
    max_queue: Annotated[int | None, Field(ge=0), EmptyIsNone] = None
    """Requests that may wait; unset takes four for each sequence."""
    max_queued_tokens: Count = None
    """Prompt tokens that may wait; unset takes a full context for each waiting request."""
    cpu_limit: Count = None
    """Thousandths of a CPU; decides the number of threads."""
    memory_limit_bytes: Count = None
    """The container's limit; decides how much fits."""
    drain_timeout_seconds: float = Field(default=300, ge=0, le=86400)
    """What running generations get when the pod is drained."""
    lame_duck_seconds: float = Field(default=5, ge=0, le=600)
    """How long calls are still accepted after the pod has said that it is not ready."""
    request_timeout_seconds: float = Field(default=600, gt=0, le=86400)
    """Longest request; a caller's own deadline can only be shorter."""
    max_connection_age_seconds: float = Field(default=600, gt=0, le=86400)
    """Connections are closed after this time, when their calls are over, so that new pods get some.
    """
    slow_client_seconds: float = Field(default=30, gt=0, le=3600)
    """How long one message may wait for its reader."""
    hang_seconds: float = Field(default=60, gt=0, le=3600)
    """A step that takes longer means the engine hangs."""
    control_auth_file: Annotated[Path | None, EmptyIsNone] = None
    """control-auth.json; without it all control calls are refused."""
    termination_log: Annotated[Path | None, EmptyIsNone] = None
    """Where the reason of a failure is written as JSON."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def identity(self) -> dict[str, str]:
        """Who this is, under the names that log lines use."""
        return {
            "deployment": self.deployment,
            "namespace": self.namespace,
            "revision": self.revision,
            "pod": self.pod_name,
        }

    @property
    def threads(self) -> int:
        """Threads of the kernels: whole CPUs of the limit, never more than there are."""
        available = len(os.sched_getaffinity(0))
        return (
            available if self.cpu_limit is None else max(1, min(available, self.cpu_limit // 1000))
        )


def read_settings(environment: Mapping[str, str]) -> ServeSettings:
    """Reads the settings. Raises SettingsError that names the variable and what it accepts."""
    values = {
        name: environment[variable]
        for name in ServeSettings.model_fields
        if (variable := f"LLM_{name.upper()}") in environment
    }
    try:
        return ServeSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise SettingsError(f"LLM_{name} is not valid: {first['msg']}; correct it") from error
