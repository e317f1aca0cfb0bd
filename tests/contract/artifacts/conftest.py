"""A real registry and a real artifact for every test of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from support.checkpoints import tiny_llama
from support.oci_registry import OciRegistry, running_registry
from support.programs import built


@pytest.fixture(scope="session")
def program() -> Path:
    """The pinned registry."""
    return built("registry").path("registry")


@pytest.fixture(scope="session")
def registry(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciRegistry]:
    with running_registry(program, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny exported model. Tests only read it."""
    folder = tmp_path_factory.mktemp("model")
    source = tiny_llama(folder / "checkpoint", hidden_size=256, intermediate_size=512)
    record = SourceRecord(uri="test", revision="1")
    export_model(ExportRequest(source, folder / "artifact", record))
    return folder / "artifact"
