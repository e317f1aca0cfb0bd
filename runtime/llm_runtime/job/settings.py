"""Settings of the export Job's containers: environment variables that the operator renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.download_source import Access
from llm_runtime.model.reference import Reference, parse_reference
from llm_runtime.model.registry import RegistryOptions
from llm_runtime.model.source import Source, parse_source

PRECISIONS = ("fp32",)
# Keys of the Secret that credentials.secretRef names, in order.
_TOKEN_KEYS = ("HF_TOKEN", "token")
_MAXIMUM_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class JobSettings:
    """All that a step needs to know.

    Attributes:
        source: LLM_SOURCE_URI, where the weights come from.
        source_uri: the same as it was written.
        source_endpoint: LLM_SOURCE_ENDPOINT, another hub than huggingface.co.
        token_path: LLM_SOURCE_TOKEN_FILE, a file, or the folder of a mounted Secret.
        precision: LLM_EXPORT_PRECISION.
        work: LLM_WORK_DIR, scratch that the containers share.
        repository: LLM_ARTIFACT_REPOSITORY, where artifacts are pushed.
        registry: LLM_REGISTRY_PLAIN_HTTP and LLM_REGISTRY_AUTH_FILE.
        memory_limit: LLM_MEMORY_LIMIT_BYTES, None without one.
        termination_log: LLM_TERMINATION_LOG, where the result goes.
        control_auth: LLM_CONTROL_AUTH_FILE, who may ask for progress.
        control_port: LLM_CONTROL_PORT, None: nobody.
    """

    source: Source
    source_uri: str
    repository: Reference
    work: Path
    source_endpoint: str | None = None
    token_path: Path | None = None
    precision: str = "fp32"
    registry: RegistryOptions = field(default_factory=RegistryOptions)
    memory_limit: int | None = None
    control_auth: Path | None = None
    control_port: int | None = None

    def access(self) -> Access:
        """What the source needs besides its address; reads the token."""
        return Access(self.source_endpoint, read_token(self.token_path))

    @property
    def checkpoint(self) -> Path:
        """The downloaded source."""
        return self.work / "source"

    @property
    def artifact(self) -> Path:
        """The exported model."""
        return self.work / "artifact"


def read_job_settings(environment: Mapping[str, str]) -> JobSettings:
    """Raises ModelError(ExportFailed) that names the variable, or what its value's parser says."""
    return JobSettings(
        source=parse_source(_required(environment, "LLM_SOURCE_URI")),
        source_uri=_required(environment, "LLM_SOURCE_URI"),
        repository=parse_reference(_required(environment, "LLM_ARTIFACT_REPOSITORY")),
        work=Path(environment.get("LLM_WORK_DIR") or "/work"),
        source_endpoint=environment.get("LLM_SOURCE_ENDPOINT") or None,
        token_path=optional_path(environment, "LLM_SOURCE_TOKEN_FILE"),
        precision=_precision(environment),
        registry=RegistryOptions(
            plain_http=_flag(environment, "LLM_REGISTRY_PLAIN_HTTP"),
            auth_file=optional_path(environment, "LLM_REGISTRY_AUTH_FILE"),
        ),
        memory_limit=_number(environment, "LLM_MEMORY_LIMIT_BYTES"),
        control_auth=optional_path(environment, "LLM_CONTROL_AUTH_FILE"),
        control_port=_number(environment, "LLM_CONTROL_PORT"),
    )


def optional_path(environment: Mapping[str, str], name: str) -> Path | None:
    """A path, None when absent or empty."""
    value = environment.get(name)
    return Path(value) if value else None


def read_token(path: Path | None) -> str | None:
    """A token from a file, or from the folder of a mounted Secret; None when there is none.

    Raises ModelError(AuthFailed) when a folder was given that holds neither key.
    """
    if path is None:
        return None
    files = [path / key for key in _TOKEN_KEYS] if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            return file.read_text()[:_MAXIMUM_TOKEN].strip() or None
    raise ModelError(
        Reason.AUTH_FAILED,
        f"the credentials hold none of the keys {', '.join(_TOKEN_KEYS)}; add one to the Secret"
        " that credentials.secretRef names",
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise _odd(name, "must be set")
    return value


def _precision(environment: Mapping[str, str]) -> str:
    value = environment.get("LLM_EXPORT_PRECISION") or PRECISIONS[0]
    if value not in PRECISIONS:
        raise _odd(
            "LLM_EXPORT_PRECISION",
            f"is {value[:40]!r}, this version exports {', '.join(PRECISIONS)}; set"
            " spec.model.export.precision to auto",
        )
    return value


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name) or "false"
    if value not in ("true", "false"):
        raise _odd(name, f"is {value[:40]!r}, it must be true or false")
    return value == "true"


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name)
    if not value:
        return None
    if not (value.isascii() and value.isdigit()):
        raise _odd(name, f"is {value[:40]!r}, it must be a whole number")
    return int(value) or None


def _odd(name: str, what: str) -> ModelError:
    return ModelError(Reason.EXPORT_FAILED, f"the environment variable {name} {what}")
