"""The variants of the runtime differ in the kernels alone."""

import re

from images.recipe import ROOT

KERNELS = re.compile(r"^onnxruntime(-gpu)?\b.*$", re.MULTILINE)


def _requirements(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text()
    lines = KERNELS.sub("", text).splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-c "))}


def _pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def test_both_variants_ask_for_the_same_packages() -> None:
    assert _requirements("runtime-cuda.in") == _requirements("runtime.in")


def test_both_variants_pin_the_same_versions() -> None:
    cpu, cuda = _pins("runtime.txt"), _pins("runtime-cuda.txt")

    shared = cpu.keys() & cuda.keys()
    assert {name: cuda[name] for name in shared} == {name: cpu[name] for name in shared}
    assert cpu.keys() - cuda.keys() == {"onnxruntime"}


def test_the_exporter_has_the_kernels_of_the_runtime() -> None:
    runtime, exporter = _pins("runtime.txt"), _pins("exporter.txt")

    assert runtime.items() <= exporter.items()
