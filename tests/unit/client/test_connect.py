import os

import pytest

from llm_client import connect, connect_sync
from llm_client.bootstrap import FILE, SERVER, TEXT, bootstrap

BOTH = pytest.mark.parametrize("connects", [connect, connect_sync])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (FILE, TEXT, SERVER):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)


@BOTH
def test_the_bootstrap_is_there_before_the_first_call(
    connects: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVER, "plane:1")
    connects("qwen", namespace="team")
    assert os.environ[TEXT] == bootstrap("plane:1")


@BOTH
def test_names_are_judged_before_the_first_call(connects: type) -> None:
    with pytest.raises(ValueError, match=r"^namespace: "):
        connects("demo.team.svc:50051", namespace="team")
    with pytest.raises(ValueError, match=r"^target: "):
        connects("Qwen", namespace="team")


def test_an_address_needs_no_bootstrap() -> None:
    with connect_sync("demo.team.svc:50051"):
        assert TEXT not in os.environ
