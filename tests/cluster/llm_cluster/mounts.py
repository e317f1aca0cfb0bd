"""Mounts below the cluster's folders, found in the kernel's list and taken away."""

from pathlib import Path

from llm_cluster.command import run
from llm_cluster.errors import CommandError


def below(mountinfo: str, folders: list[Path]) -> list[str]:
    """Mount points at or below ``folders``, last mounted first, from a /proc/PID/mountinfo text."""
    points = [_unescaped(line.split()[4]) for line in mountinfo.splitlines()]
    ours = [point for point in points if any(_is_at_or_below(point, each) for each in folders)]
    return ours[::-1]


def _is_at_or_below(point: str, folder: Path) -> bool:
    return Path(point).is_relative_to(folder)


def _unescaped(text: str) -> str:
    """The kernel writes blanks and backslashes in octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def present(folders: list[Path]) -> list[str]:
    """Mount points at or below ``folders`` now."""
    return below(Path("/proc/self/mountinfo").read_text(), folders)


def remove_all(folders: list[Path]) -> None:
    """Unmounts all at or below ``folders``; what is busy is detached and goes when it can."""
    for point in present(folders):
        try:
            run(["umount", point])
        except CommandError:
            run(["umount", "--lazy", point])
