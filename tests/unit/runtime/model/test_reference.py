"""Image names are understood exactly or refused with the right form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_runtime.errors import ModelError
from llm_runtime.model.reference import Reference, parse_reference

HEX = "0123456789abcdef" * 4
GOOD = {
    "localhost:5000/a:v1": Reference("localhost:5000", "a", "v1"),
    "r.io/llm-operator/artifacts": Reference("r.io", "llm-operator/artifacts"),
    f"oci://h:1/a/b@sha256:{HEX}": Reference("h:1", "a/b", None, f"sha256:{HEX}"),
    f"h/a:t@sha256:{HEX}": Reference("h", "a", "t", f"sha256:{HEX}"),
    f"[::1]:5000/a:{HEX}": Reference("[::1]:5000", "a", HEX),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_reference_is_taken_apart(text: str) -> None:
    assert parse_reference(text) == GOOD[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "h/",
        "h/A",
        "h/a:",
        "h/a@sha256:12",
        f"h/a@sha512:{HEX}",
        "h/../a",
        "h/a b",
        "h//a",
        "user@h/a",
        "h:999999/a",
        "http://h/a",
        "h/a?x",
        "h/a\n",
        f"h/a@sha256:{HEX}0",
    ],
)
def test_all_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ModelError, match="host:port/repository"):
        parse_reference(text)


@given(st.sampled_from(sorted(GOOD)))
def test_writing_and_parsing_agree(text: str) -> None:
    reference = parse_reference(text)
    again = parse_reference(str(reference))
    assert (again.host, again.repository, again.digest) == (
        reference.host,
        reference.repository,
        reference.digest,
    )
