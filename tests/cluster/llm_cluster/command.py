"""Runs other programs to their end and turns failures into errors that carry their words."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from llm_cluster.errors import CommandError

_TAIL_CHARACTERS = 2000


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120.0,
) -> str:
    """Standard output of ``argv``; ``env`` is added to ours.

    Raises CommandError with the end of its output when it fails, is missing or outlasts
    ``timeout`` (seconds).
    """
    shown = shlex.join(str(part) for part in argv)
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            input=stdin,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandError(f"{argv[0]} is not installed; it was needed for: {shown}") from missing
    except subprocess.TimeoutExpired as late:
        raise CommandError(f"gave up after {timeout:.0f} s: {shown}") from late
    if done.returncode != 0:
        tail = (done.stderr or done.stdout)[-_TAIL_CHARACTERS:].strip()
        raise CommandError(f"exit status {done.returncode} of: {shown}\n{tail}")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, timeout: float = 30.0) -> bool:
    """Whether ``argv`` runs and exits with 0."""
    try:
        run(argv, timeout=timeout)
    except CommandError:
        return False
    return True
