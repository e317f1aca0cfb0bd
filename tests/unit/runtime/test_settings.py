from pathlib import Path

import pytest

from llm_runtime.settings import ServeSettings, SettingsError, read_settings


def test_without_variables_the_defaults_hold() -> None:
    assert read_settings({"PATH": "/bin"}) == ServeSettings()


def test_what_the_operator_renders_is_read() -> None:
    settings = read_settings(
        {
            "LLM_MODEL_DIR": "/model",
            "LLM_MODEL_NAME": "demo",
            "LLM_MODEL_DIGEST": "sha256:0",
            "LLM_POD_NAME": "demo-1",
            "LLM_DATA_PORT": "50051",
            "LLM_MAX_CONTEXT_LENGTH": "256",
            "LLM_MAX_QUEUE": "0",
            "LLM_MEMORY_LIMIT_BYTES": "536870912",
            "LLM_DRAIN_TIMEOUT_SECONDS": "300",
            "LLM_CONTROL_AUTH_FILE": "/etc/llm/control-auth/control-auth.json",
        }
    )
    assert settings.max_context_length == 256
    assert settings.max_queue == 0
    assert settings.drain_timeout_seconds == 300
    assert settings.control_auth_file == Path("/etc/llm/control-auth/control-auth.json")


def test_an_empty_variable_means_the_same_as_none() -> None:
    settings = read_settings({"LLM_MAX_QUEUE": "", "LLM_CONTROL_AUTH_FILE": ""})
    assert (settings.max_queue, settings.control_auth_file) == (None, None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLM_DATA_PORT", "70000"),
        ("LLM_MAX_CONTEXT_LENGTH", "0"),
        ("LLM_LAME_DUCK_SECONDS", "-1"),
        ("LLM_REQUEST_TIMEOUT_SECONDS", "0"),
        ("LLM_MODEL_NAME", ""),
        ("LLM_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_the_variables_name(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        read_settings({variable: value})


@pytest.mark.parametrize(("limit", "threads"), [("250", 1), ("1000", 1), ("1900", 1)])
def test_threads_are_whole_cpus_of_the_limit(limit: str, threads: int) -> None:
    assert read_settings({"LLM_CPU_LIMIT": limit}).threads == threads


def test_threads_are_never_more_than_the_cpus_there_are() -> None:
    everything = ServeSettings().threads
    assert read_settings({"LLM_CPU_LIMIT": "1024000"}).threads == everything >= 1
