"""Which mirror the base image comes from."""

import pytest
from images.base import DEFAULT_MIRROR, mirror

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([DEB822], "http://mirror.example/debian"),
        (["deb http://one.example/debian bookworm main"], "http://one.example/debian"),
        (["deb [signed-by=/k] http://two.example/d bookworm main"], "http://two.example/d"),
        (["# deb http://off.example/debian bookworm main"], DEFAULT_MIRROR),
        (["deb http://ubuntu.example/ubuntu noble main"], DEFAULT_MIRROR),
        (["deb http://one.example/debian-security bookworm-security main"], DEFAULT_MIRROR),
        ([], DEFAULT_MIRROR),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses_for_the_suite(texts: list[str], expected: str) -> None:
    assert mirror(texts) == expected
