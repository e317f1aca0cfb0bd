import json
from pathlib import Path

import pytest

from llm_client.bootstrap import DEFAULT_SERVER, FILE, SERVER, TEXT, bootstrap, settle


def test_the_text_names_the_control_plane_and_nothing_of_the_pod() -> None:
    assert json.loads(bootstrap("plane:1")) == {
        "xds_servers": [
            {
                "server_uri": "plane:1",
                "channel_creds": [{"type": "insecure"}],
                "server_features": ["xds_v3"],
            }
        ],
        "node": {"id": "llm-client", "locality": {}},
    }


def test_without_a_word_the_control_plane_is_the_charts() -> None:
    environ: dict[str, str] = {}
    assert settle(environ) == DEFAULT_SERVER == "llm-operator-xds.llm-system.svc:18000"
    assert environ == {TEXT: bootstrap(DEFAULT_SERVER)}


def test_another_control_plane_can_be_named() -> None:
    environ = {SERVER: "plane:1"}
    assert settle(environ) == "plane:1"
    assert environ[TEXT] == bootstrap("plane:1")


def test_a_second_client_finds_what_the_first_one_wrote() -> None:
    environ: dict[str, str] = {}
    settle(environ)
    environ[SERVER] = "too-late:1"  # gRPC has read the text already
    assert settle(environ) == DEFAULT_SERVER


def test_a_text_of_the_users_own_is_left_alone() -> None:
    environ = {TEXT: bootstrap("own:1"), SERVER: "plane:1"}
    before = dict(environ)
    assert settle(environ) == "own:1"
    assert environ == before


def test_a_file_of_the_users_own_comes_first_as_it_does_for_grpc(tmp_path: Path) -> None:
    path = tmp_path / "bootstrap.json"
    path.write_text(bootstrap("file:1"))
    environ = {FILE: str(path), TEXT: bootstrap("text:1")}
    assert settle(environ) == "file:1"


def test_a_control_plane_behind_tls_is_taken_for_granted() -> None:
    text = bootstrap("own:1").replace("insecure", "tls")
    assert settle({TEXT: text}) == ""


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"xds_servers": []}', "1"])
def test_a_text_that_is_no_bootstrap_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{TEXT}: "):
        settle({TEXT: text})


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=f"^{FILE}: .*/nowhere"):
        settle({FILE: "/nowhere"})
