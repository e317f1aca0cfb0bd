"""The files of the images, and the check that nothing is missing from them."""

import sys
from pathlib import Path

import pytest
from images.stage import rootfs


def _python() -> Path:
    return Path(sys.executable).resolve()


def test_needed_libraries_hold_every_link_on_the_way() -> None:
    found = set(rootfs.needed_libraries([_python()]))

    assert any(path.name == "libc.so.6" for path in found)
    for path in found:
        assert path.exists()
        if path.is_symlink():
            assert (path.parent / path.readlink()).resolve() in {p.resolve() for p in found}


def test_a_library_that_the_image_lacks_ends_the_build(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "extension.so").symlink_to(_python())

    with pytest.raises(SystemExit, match=r"libc\.so\.6"):
        rootfs.check(tmp_path / "empty", packages)


def test_a_root_with_everything_passes(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "extension.so").symlink_to(_python())
    root = tmp_path / "root"
    for library in rootfs.needed_libraries([_python()]):
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()

    rootfs.check(root, packages)
