"""What the build drops from installed packages."""

from pathlib import Path

import pytest
from images.stage.install import is_unused

PACKAGES = Path("lib/python3.11/site-packages")


@pytest.mark.parametrize(
    "name",
    ["numpy/_core/tests/test_a.py", "numpy/_core/include/numpy/ndarray.h", "onnx/backend/test/a.py",
     "x/y.pyi", "x/_y.pxd"],
)  # fmt: skip
def test_tests_headers_and_stubs_are_dropped(name: str) -> None:
    assert is_unused(PACKAGES / name)


@pytest.mark.parametrize(
    "name", ["jinja2/tests.py", "numpy/testing/__init__.py", "x/py.typed", "x/y.so", "test.py"]
)
def test_modules_that_only_sound_like_tests_stay(name: str) -> None:
    assert not is_unused(PACKAGES / name)


def test_the_installers_lock_is_dropped() -> None:
    assert is_unused(Path(".lock"))


@pytest.mark.parametrize(
    ("name", "dropped"),
    [("python3.11", False), ("llm-runtime", False), ("hf", True), ("activate", True)],
)
def test_only_our_programs_and_python_are_in_the_path(name: str, dropped: bool) -> None:
    assert is_unused(Path("bin") / name) is dropped
