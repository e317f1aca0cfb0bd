"""What is in the images, and what is not: read from the archives that the nodes get."""

import json
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest
from images.recipe import ROOT

from contract.images.archive import Contents, read

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

OURS = ("operator", "exporter", "runtime")
PACKAGE_FOLDER = "opt/llm/lib/python3.11/site-packages"
PROGRAM_FOLDERS = {
    f"{parent}{name}"
    for parent in ("", "usr/", "usr/local/", "opt/llm/")
    for name in ("bin", "sbin")
}
TARGETS = {"operator": 320e6, "runtime": 450e6}
MACHINE_AUTHORITIES = Path("/usr/local/share/ca-certificates")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@pytest.fixture(scope="module")
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """What `scripts/images` says; it builds what is missing."""
    subprocess.run([ROOT / "scripts" / "images", *OURS], check=True)
    found: Mapping[str, Mapping[str, str]] = json.loads((ROOT / "build/images.json").read_text())
    return found


@pytest.fixture(scope="module", params=OURS)
def image(request: pytest.FixtureRequest, catalogue: Mapping[str, Mapping[str, str]]) -> Contents:
    """Each image of ours."""
    return read(Path(catalogue[request.param]["archive"]))


def test_it_runs_as_a_user_without_rights(image: Contents) -> None:
    assert image.config["User"] == "10001:10001"
    assert b"llm:x:10001:10001:" in image.read("etc/passwd")


def test_it_holds_no_shell_and_no_package_tools(image: Contents) -> None:
    paths = [PurePosixPath(path) for path in image.files]
    programs = {path.name for path in paths if str(path.parent) in PROGRAM_FOLDERS}

    assert programs <= {"python", "python3", "python3.11", "llm-operator", "llm-runtime"}
    packages = {path.split("/")[5] for path in image.files if path.startswith(PACKAGE_FOLDER + "/")}
    assert not packages & {"pip", "setuptools", "wheel", "uv"}


def test_no_file_gives_rights_or_can_be_changed_by_its_user(image: Contents) -> None:
    for path, entry in image.files.items():
        assert (entry.uid, entry.gid) == (0, 0), path
        assert not entry.mode & (stat.S_ISUID | stat.S_ISGID), path
        is_scratch = path.rstrip("/") in ("tmp", "var/tmp")
        assert is_scratch or entry.issym() or not entry.mode & stat.S_IWOTH, path


def test_every_module_has_its_bytecode(image: Contents) -> None:
    modules = [
        path for path in image.files if path.startswith(PACKAGE_FOLDER) and path.endswith(".py")
    ]

    compiled = [path for path in modules if _bytecode(path) in image.files]
    assert len(compiled) == len(modules) > 500


def test_bytecode_is_never_checked_against_its_source(image: Contents) -> None:
    module = f"{PACKAGE_FOLDER}/llm_client/__init__.py"

    flags = int.from_bytes(image.read(_bytecode(module))[4:8], "little")
    assert flags == 0b01  # hash-based, unchecked (PEP 552)


def test_telemetry_and_the_current_folder_are_off(image: Contents) -> None:
    environment = dict(entry.split("=", 1) for entry in image.config["Env"])

    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert environment["PYTHONSAFEPATH"] == "1"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert image.config["StopSignal"] in ("SIGTERM", "15")


def test_no_certificate_authority_of_this_machine_is_inside(image: Contents) -> None:
    own = {
        certificate
        for path in MACHINE_AUTHORITIES.rglob("*.crt")
        for certificate in _PEM.findall(path.read_bytes())
    }
    inside = set(_PEM.findall(image.read("etc/ssl/certs/ca-certificates.crt")))

    assert len(inside) > 100
    assert not inside & own
    assert not [path for path in image.files if path.startswith("usr/local/share/ca-certificates")]


def test_scanners_find_the_debian_packages(image: Contents) -> None:
    assert b"Package: libc6" in image.read("var/lib/dpkg/status.d/libc6")


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_it_is_no_larger_than_promised(
    catalogue: Mapping[str, Mapping[str, str]], name: str
) -> None:
    assert float(catalogue[name]["unpackedBytes"]) <= TARGETS[name]


def test_the_serving_image_holds_nothing_that_reads_checkpoints(
    catalogue: Mapping[str, Mapping[str, str]],
) -> None:
    runtime = read(Path(catalogue["runtime"]["archive"]))

    for package in ("onnx", "safetensors", "torch", "transformers"):
        assert f"{PACKAGE_FOLDER}/{package}/__init__.py" not in runtime.files


def test_exporter_and_runtime_share_all_but_two_layers(
    catalogue: Mapping[str, Mapping[str, str]],
) -> None:
    exporter, runtime = (read(Path(catalogue[n]["archive"])) for n in ("exporter", "runtime"))

    assert set(runtime.layers) <= set(exporter.layers)
    assert len(exporter.layers) - len(runtime.layers) == 1


def _bytecode(module: str) -> str:
    path = PurePosixPath(module)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc")
