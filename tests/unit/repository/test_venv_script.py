"""scripts/venv on a Debian, whose python3.11 cannot make an environment by itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "venv"
# A python3.11 that gets ensurepip when python3.11-venv is installed, and then only notes its use.
PYTHON = """#!/bin/sh
case "$*" in
  "-c import ensurepip") [ -e "$STATE/installed" ] ;;
  *) echo "$*" >> "$STATE/made"; exit 9 ;;
esac
"""
APT_GET = """#!/bin/sh
echo "$*" >> "$STATE/apt"
case "$*" in install*python3.11-venv) touch "$STATE/installed" ;; esac
exit "$APT_CODE"
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts" / "venv")
    (tmp_path / "bin").mkdir()
    for name in ("bash", "sh", "date", "dirname", "touch"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    program(tmp_path, "python3.11", PYTHON)
    return tmp_path


def program(state: Path, name: str, text: str) -> None:
    (state / "bin" / name).write_text(text)
    (state / "bin" / name).chmod(0o755)


def run(state: Path, apt_code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(state / "bin"), "STATE": str(state), "APT_CODE": str(apt_code)}
    command = [str(state / "scripts" / "venv")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


def test_the_missing_package_is_installed_first_and_said(state: Path) -> None:
    program(state, "apt-get", APT_GET)
    done = run(state)
    assert "Installing from the system's packages: python3.11-venv" in done.stderr
    assert (state / "made").read_text() == "-m venv .venv\n"


def test_where_nothing_is_missing_nothing_is_installed(state: Path) -> None:
    program(state, "apt-get", APT_GET)
    (state / "installed").touch()
    run(state)
    assert not (state / "apt").exists()
    assert (state / "made").exists()


def test_what_cannot_be_installed_is_named(state: Path) -> None:
    assert "there is no apt-get" in run(state).stderr
    program(state, "apt-get", APT_GET)
    done = run(state, apt_code=100)
    assert "run as root: apt-get install python3.11-venv" in done.stderr
    assert done.returncode == 1
    assert not (state / "made").exists()
