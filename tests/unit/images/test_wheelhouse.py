"""Which wheels fit the base image."""

from images.wheelhouse import platforms
from packaging.tags import platform_tags


def test_no_wheel_for_a_newer_glibc_is_taken() -> None:
    found = platforms("x86_64")

    assert found[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_37_x86_64" not in found
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64"} <= set(found)


def test_every_platform_is_one_that_pip_knows() -> None:
    known = set(platform_tags())

    ours = [name for name in platforms("x86_64") if not name.startswith("manylinux_2_3")]
    assert set(ours) <= known | {"linux_x86_64"}
