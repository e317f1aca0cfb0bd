"""A source's address says what it is, or what is wrong with it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError, Reason
from llm_runtime.model.source import HttpSource, HubSource, ImageSource, VolumeSource, parse_source

HEX = "0123456789abcdef" * 4


def test_each_scheme_is_understood() -> None:
    assert parse_source("hf://Qwen/Qwen3-0.6B") == HubSource("Qwen/Qwen3-0.6B", "main")
    assert parse_source("hf://gpt2@v1") == HubSource("gpt2", "v1")
    assert parse_source("hf://a/b@refs/pr/1") == HubSource("a/b", "refs/pr/1")
    assert parse_source("pvc:///source/my%20model") == VolumeSource(Path("/source/my model"))
    web = parse_source(f"https://h/m.tar.gz#sha256={HEX}")
    assert web == HttpSource("https://h/m.tar.gz", HEX)
    assert isinstance(parse_source(f"oci://h:5000/a@sha256:{HEX}"), ImageSource)


@pytest.mark.parametrize(("path", "index"), [("/a/files.json", True), ("/a.tar?x=.json", False)])
def test_an_index_is_told_from_an_archive_by_its_path(path: str, index: bool) -> None:
    assert HttpSource(f"https://h{path}", HEX).is_index is index


WRONG = {
    "": "no known scheme",
    "Qwen/Qwen3": "no known scheme",
    "s3://bucket/x": "no known scheme",
    "file:///etc/passwd": "no known scheme",
    "hf://a/../b": "hf://[org/]name@revision",
    "hf://a/b@../../x y": "hf://[org/]name@revision",
    "pvc://relative": "absolute path",
    "pvc:///a/../../etc": "absolute path",
    "pvc:///a/%2e%2e/b": "absolute path",
    "pvc:///a%2Fb": "absolute path",
    "pvc:///" + "a" * 2048: "2048 characters",
    f"https://[zz]/m.tar#sha256={HEX}": "needs a host",
    "https://h/m.tar": "add #sha256=",
    "https://h/m.tar#sha256=12": "add #sha256=",
    f"https://u:hunter2@h/m.tar#sha256={HEX}": "no user or password",
    f"https:///m.tar#sha256={HEX}": "needs a host",
    "oci://h/a:v1": "has no digest",
}


@pytest.mark.parametrize("uri", WRONG)
def test_a_wrong_address_is_refused_with_the_right_form(uri: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_source(uri)
    assert caught.value.reason is Reason.FILE_NOT_FOUND
    assert WRONG[uri] in caught.value.message
    assert "hunter2" not in caught.value.message


@given(st.text(max_size=80) | st.from_regex(r"(hf|pvc|http|https|oci)://.{0,60}"))
def test_no_address_does_worse_than_a_refusal(uri: str) -> None:
    try:
        source = parse_source(uri)
    except ModelError:
        return
    if isinstance(source, VolumeSource):
        assert ".." not in source.folder.parts
