"""Settings: what the chart sets is read, and what cannot be used is named."""

import pytest

from llm_operator.activator.settings import Settings
from llm_operator.settings import SettingsError

ENOUGH = {
    "LLM_ACTIVATOR_OPERATOR_NAMESPACE": "llm-system",
    "LLM_ACTIVATOR_OPERATOR_SERVICE_ACCOUNT": "llm-operator",
}


def settings_with(**environ: str) -> Settings:
    return Settings.from_env({**ENOUGH, **{f"LLM_ACTIVATOR_{k}": v for k, v in environ.items()}})


def test_defaults_are_used_for_what_is_not_set() -> None:
    settings = settings_with()
    assert settings.watch_namespaces == ()
    assert (settings.control_port, settings.metrics_port, settings.health_port) == (
        50_052,
        9090,
        8080,
    )


def test_every_kind_of_value_is_read() -> None:
    settings = settings_with(
        WATCH_NAMESPACES="a, b,", CONTROL_PORT="1", CONNECTION_AGE_SECONDS="0.5", LOG_LEVEL="DEBUG"
    )
    assert settings.watch_namespaces == ("a", "b")
    assert (settings.control_port, settings.connection_age_seconds) == (1, 0.5)
    assert settings.log_level == "DEBUG"


def test_an_empty_value_means_the_default() -> None:
    assert settings_with(CONTROL_PORT="", WATCH_NAMESPACES="") == settings_with()


@pytest.mark.parametrize("missing", list(ENOUGH))
def test_what_has_no_default_is_asked_for(missing: str) -> None:
    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        Settings.from_env({name: value for name, value in ENOUGH.items() if name != missing})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTROL_PORT", "65536"),
        ("CONTROL_PORT", "-1"),
        ("METRICS_PORT", "many"),
        ("WATCH_NAMESPACES", "a,B"),
        ("WATCH_NAMESPACES", "a/../b"),
        ("LOG_LEVEL", "LOUD"),
        ("MAX_HELD_BYTES", "0"),
        ("MAX_MESSAGE_BYTES", "1e9"),
        ("CONNECTION_AGE_SECONDS", "0"),
        ("CONNECTION_AGE_SECONDS", "nan"),
        ("LEAVE_SECONDS", "inf"),
        ("GRACE_SECONDS", "-1"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"LLM_ACTIVATOR_{name} is '{value}'"):
        settings_with(**{name: value})


def test_who_leaves_is_there_until_all_who_came_were_sent_away() -> None:
    """Every connection is sent away within its age and a tenth; a few seconds to be forgotten."""
    settings = settings_with()
    assert settings.leave_seconds >= settings.connection_age_seconds * 1.1 + 3
    assert settings.leave_seconds + settings.grace_seconds < 610  # the chart's grace period
