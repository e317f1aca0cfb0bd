"""The Job's environment is understood, or the variable is named."""

from pathlib import Path

import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.job.settings import read_job_settings, read_token
from llm_runtime.model.reference import Reference
from llm_runtime.model.source import HubSource

GIVEN = {
    "LLM_SOURCE_URI": "hf://acme/tiny@main",
    "LLM_ARTIFACT_REPOSITORY": "registry:5000/llm-operator/artifacts",
}


def test_the_smallest_environment_has_defaults() -> None:
    settings = read_job_settings(GIVEN)
    assert settings.source == HubSource("acme/tiny", "main")
    assert settings.repository == Reference("registry:5000", "llm-operator/artifacts")
    assert (settings.work, settings.precision) == (Path("/work"), "fp32")
    assert (settings.memory_limit, settings.control_port) == (None, None)
    assert not settings.registry.plain_http


def test_empty_variables_count_as_absent() -> None:
    names = ("LLM_SOURCE_ENDPOINT", "LLM_MEMORY_LIMIT_BYTES", "LLM_REGISTRY_PLAIN_HTTP")
    assert read_job_settings(GIVEN | dict.fromkeys(names, "")) == read_job_settings(GIVEN)


def test_all_variables_are_read() -> None:
    settings = read_job_settings(
        GIVEN
        | {
            "LLM_WORK_DIR": "/scratch",
            "LLM_MEMORY_LIMIT_BYTES": "1073741824",
            "LLM_REGISTRY_PLAIN_HTTP": "true",
            "LLM_REGISTRY_AUTH_FILE": "/auth/config.json",
            "LLM_CONTROL_PORT": "50052",
            "LLM_CONTROL_AUTH_FILE": "/etc/llm/control-auth/control-auth.json",
            "LLM_SOURCE_ENDPOINT": "http://hub",
        }
    )
    assert settings.checkpoint == Path("/scratch/source")
    assert settings.memory_limit == 1 << 30
    assert settings.registry.plain_http
    assert settings.registry.auth_file == Path("/auth/config.json")
    assert settings.control_port == 50052
    assert settings.source_endpoint == "http://hub"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_ARTIFACT_REPOSITORY", ""),
        ("LLM_SOURCE_URI", ""),
        ("LLM_EXPORT_PRECISION", "int4"),
        ("LLM_REGISTRY_PLAIN_HTTP", "yes"),
        ("LLM_MEMORY_LIMIT_BYTES", "1Gi"),
        ("LLM_CONTROL_PORT", "-1"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ModelError, match=name) as caught:
        read_job_settings(GIVEN | {name: value})
    assert caught.value.reason is Reason.EXPORT_FAILED


def test_a_token_comes_from_a_file_or_a_mounted_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" second \n")
    assert read_token(None) is None
    assert read_token(tmp_path / "token") == "second"
    assert read_token(tmp_path) == "second"
    (tmp_path / "HF_TOKEN").write_text("first\n")
    assert read_token(tmp_path) == "first"


def test_a_secret_without_a_token_says_which_keys_count(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="HF_TOKEN, token") as caught:
        read_token(tmp_path)
    assert caught.value.reason is Reason.AUTH_FAILED
