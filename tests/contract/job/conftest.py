"""The export Job as the operator starts it: real processes, a real registry, a hub on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llm_runtime.commands.job import perform
from llm_runtime.job.result import run_step
from support.checkpoints import tiny_llama
from support.hub_server import running_hub
from support.oci_registry import OciRegistry, running_registry
from support.programs import built

MODEL = "acme/tiny"
STEPS = ("fetch", "export", "verify", "push")


@dataclass
class Job:
    """One pod of the Job: its folder and its environment."""

    folder: Path
    registry: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def variables(self, step: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LLM_WORK_DIR": str(self.work),
            "LLM_ARTIFACT_REPOSITORY": f"{self.registry}/llm-operator/artifacts",
            "LLM_REGISTRY_PLAIN_HTTP": "true",
            "LLM_EXPORT_PRECISION": "fp32",
            "LLM_TERMINATION_LOG": str(self.folder / f"{step}.json"),
            "ORT_DISABLE_TELEMETRY": "1",
        } | self.environment

    def start(self, step: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "llm_runtime", "job", step]
        return subprocess.Popen(
            command, env=self.variables(step), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def run(self, step: str) -> dict[str, Any]:
        """The step's termination message."""
        process = self.start(step)
        _, errors = process.communicate(timeout=60)
        content = (self.folder / f"{step}.json").read_bytes()
        assert len(content) <= 4096
        message: dict[str, Any] = json.loads(content)
        assert (process.returncode == 0) == message["ok"], errors.decode()
        return message

    def call(self, step: str) -> dict[str, Any]:
        """The same inside this process, for stories in which the process itself plays no part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{step}.json"
        variables = self.variables(step)
        run_step(step, log, lambda: perform(step, variables))
        message: dict[str, Any] = json.loads(log.read_bytes())
        return message

    def call_all(self) -> dict[str, Any]:
        """The last step's message, or the first failure's, inside this process."""
        for step in STEPS:
            message = self.call(step)
            if not message["ok"]:
                break
        return message

    def run_all(self) -> dict[str, Any]:
        """The last step's message, or the first failure's."""
        for step in STEPS:
            message = self.run(step)
            if not message["ok"]:
                break
        return message


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistry]:
    program = built("registry").path("registry")
    with running_registry(program, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A hub with one good model and a few bad ones."""
    root = tmp_path_factory.mktemp("hub")
    tiny_llama(root / MODEL)
    tiny_llama(root / "acme/private")
    (root / "acme/private/.gated").write_text("granted\n")
    tiny_llama(root / "acme/unknown", architectures=["MambaForCausalLM"])
    tiny_llama(root / "acme/remote-code", auto_map={"AutoModel": "modeling.Evil"})
    exported = tiny_llama(root / "acme/onnx")
    (exported / "model.safetensors").unlink()
    (exported / "onnx").mkdir()
    (exported / "onnx/model.onnx").write_bytes(b"graph")
    broken = tiny_llama(root / "acme/broken")
    (broken / "model.safetensors").write_bytes(b"\xff" * 100)
    with running_hub(root) as endpoint:
        yield endpoint


@pytest.fixture
def job(tmp_path: Path, registry: OciRegistry, hub: str) -> Job:
    environment = {"LLM_SOURCE_URI": f"hf://{MODEL}@main", "LLM_SOURCE_ENDPOINT": hub}
    return Job(tmp_path / "pod", registry.host, environment)
