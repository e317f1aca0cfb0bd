"""Mounts that a build leaves are found, and only those."""

from pathlib import Path

from images.buildah import mounts_below

TABLE = """\
/dev/vda / ext4 rw 0 0
/dev/vda /cache/buildah/store/overlay ext4 rw 0 0
overlay /cache/buildah/store/overlay/1/merged overlay rw 0 0
overlay /cache/buildah-other/store/overlay overlay rw 0 0
"""


def test_the_mounts_below_a_folder_come_innermost_first() -> None:
    assert mounts_below(Path("/cache/buildah"), TABLE) == [
        "/cache/buildah/store/overlay/1/merged",
        "/cache/buildah/store/overlay",
    ]


def test_a_folder_without_mounts_has_none() -> None:
    assert mounts_below(Path("/other"), TABLE) == []
