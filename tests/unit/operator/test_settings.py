"""Settings: what the chart sets is read, and what cannot be used is named."""

import pytest

from llm_operator.settings import Settings, SettingsError

ENOUGH = {
    "LLM_OPERATOR_NAMESPACE": "llm-system",
    "LLM_OPERATOR_SERVICE_ACCOUNT": "llm-operator",
    "LLM_OPERATOR_POD_NAME": "llm-operator-0",
    "LLM_OPERATOR_RUNTIME_IMAGE": "runtime:1",
    "LLM_OPERATOR_EXPORTER_IMAGE": "exporter:1",
    "LLM_OPERATOR_REGISTRY": "registry.llm-system.svc:5000",
}


def settings_with(**environ: str) -> Settings:
    return Settings.from_env({**ENOUGH, **{f"LLM_OPERATOR_{k}": v for k, v in environ.items()}})


def test_defaults_are_used_for_what_is_not_set() -> None:
    settings = settings_with()
    assert (settings.workers, settings.resync_seconds, settings.lease_seconds) == (8, 300.0, 15.0)
    assert settings.watch_namespaces == ()


def test_every_kind_of_value_is_read() -> None:
    settings = settings_with(
        WATCH_NAMESPACES="a, b,", WORKERS="3", RESYNC_SECONDS="1.5", REGISTRY_PLAIN_HTTP="true"
    )
    assert settings.watch_namespaces == ("a", "b")
    assert (settings.workers, settings.resync_seconds) == (3, 1.5)
    assert settings.registry_plain_http is True


def test_an_empty_value_means_the_default() -> None:
    settings = settings_with(WORKERS="", WATCH_NAMESPACES="", HF_ENDPOINT="")
    assert (settings.workers, settings.watch_namespaces, settings.hf_endpoint) == (8, (), "")


@pytest.mark.parametrize("name", sorted(ENOUGH))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        Settings.from_env({key: value for key, value in ENOUGH.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WORKERS", "many", "write a number"),
        ("WORKERS", "0", "from 1 to 100"),
        ("RESYNC_SECONDS", "nan", "from 1 to 86400"),
        ("RESYNC_SECONDS", "1e999", "from 1 to 86400"),
        ("LEASE_SECONDS", "1", "from 3 to 300"),
        ("METRICS_PORT", "70000", "from 0 to 65535"),
        ("REGISTRY_PLAIN_HTTP", "yes", "write true or false"),
        ("IMAGE_PULL_POLICY", "Sometimes", "write one of"),
        ("LOG_LEVEL", "LOUD", "write one of"),
        ("REGISTRY", "http://registry:5000", "without a scheme"),
        ("REGISTRY_PUSH", "registry/path", "without a scheme"),
        ("WATCH_NAMESPACES", "a,B", "'B' is no name of a namespace"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_the_limit(
    name: str, value: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        settings_with(**{name: value})
