"""What the chart sets for the control plane is read, and what cannot be used is named."""

import pytest

from llm_operator.settings import SettingsError
from llm_operator.xds.settings import Settings

ENOUGH = {
    "LLM_XDS_OPERATOR_NAMESPACE": "llm-system",
    "LLM_XDS_OPERATOR_SERVICE_ACCOUNT": "llm-operator",
}


def test_clients_find_it_where_their_bootstrap_says() -> None:
    assert Settings.from_env(ENOUGH).port == 18_000


def test_the_operators_name_is_that_of_its_service_account() -> None:
    subject = Settings.from_env(ENOUGH).operator_subject
    assert subject == "system:serviceaccount:llm-system:llm-operator"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "65536"), ("LEAVE_SECONDS", "nan"), ("WATCH_NAMESPACES", "A b"), ("LOG_LEVEL", "x")],
)
def test_a_value_that_cannot_be_used_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"LLM_XDS_{variable} is"):
        Settings.from_env({**ENOUGH, f"LLM_XDS_{variable}": value})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match="LLM_XDS_OPERATOR_NAMESPACE is not set"):
        Settings.from_env({})
