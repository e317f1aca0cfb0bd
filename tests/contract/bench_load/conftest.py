from pathlib import Path

import pytest

from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from support.checkpoints import DEMO_MODEL


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, exported."""
    folder = tmp_path_factory.mktemp("artifacts") / "demo"
    record = SourceRecord(uri="pvc:///source/demo", revision="0" * 64)
    export_model(ExportRequest(DEMO_MODEL, folder, record))
    return folder
