"""No name from outside leads out of its folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError
from llm_runtime.model.containment import plain_name

ROOT = Path("/model")


@pytest.mark.parametrize("name", ["model.data", "model-00001-of-00002.safetensors", "a", "A_1.b-c"])
def test_plain_names_pass(name: str) -> None:
    assert plain_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc/passwd",
        "a\\b",
        ".hidden",
        "-rf",
        "a\0b",
        "a\nb",
        "a b",
        "ä",
        "a" * 101,
        "~",
        "C:x",
        "%2e%2e",
    ],
)
def test_all_else_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="only plain names"):
        plain_name(name)


@given(st.text() | st.text(alphabet="./\\a~"))
def test_a_name_that_passes_stays_in_its_folder(name: str) -> None:
    try:
        path = (ROOT / plain_name(name)).resolve()
    except ModelError:
        return
    assert path.parent == ROOT
