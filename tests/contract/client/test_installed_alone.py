"""The light client, installed from its lock into an environment of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
UV = Path(sys.executable).parent / "uv"
ASK = """
import importlib.util
from llm_client import Options, connect
heavy = ("numpy", "onnxruntime", "pydantic", "kopf", "kubernetes", "llm_runtime", "llm_operator")
print([name for name in heavy if importlib.util.find_spec(name)])
"""


def run(*command: str | Path, folder: Path) -> str:
    """What it printed; a failure shows what it said."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A Python with the client and what its lock names, from the cache of `make venv`."""
    shutil.copytree(ROOT / "client", tmp_path / "client")
    lock = ROOT / "requirements" / "client.txt"
    python = tmp_path / "venv" / "bin" / "python"
    pip = (UV, "pip", "install", "--offline", "--python", python, "--no-deps")
    run(UV, "venv", "--offline", "--python", sys.executable, tmp_path / "venv", folder=tmp_path)
    run(*pip, "--require-hashes", "-r", lock, folder=tmp_path)
    # Built with the setuptools that is here: the environment itself holds none.
    build = (UV, "build", "--offline", "--wheel", "--no-build-isolation", "--python")
    run(*build, sys.executable, "--out-dir", tmp_path, tmp_path / "client", folder=tmp_path)
    run(*pip, *tmp_path.glob("llm_client-*.whl"), folder=tmp_path)
    return python


def test_the_client_alone_brings_all_that_it_imports_and_nothing_heavy(
    client: Path, tmp_path: Path
) -> None:
    assert run(client, "-I", "-c", ASK, folder=tmp_path).strip() == "[]"
