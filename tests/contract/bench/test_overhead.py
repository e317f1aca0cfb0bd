"""The bench's server process, over a real artifact."""

import asyncio
from pathlib import Path

from bench.overhead import Workload, serve_once, serving

from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from support.checkpoints import tiny_llama


def test_a_served_workload_is_answered_on_whichever_port_is_free(tmp_path: Path) -> None:
    source = tiny_llama(tmp_path / "checkpoint")
    record = SourceRecord(uri="test", revision="1")
    export_model(ExportRequest(source, tmp_path / "artifact", record))
    workload = Workload(requests=2, prompt_tokens=1, new_tokens=3)
    with (
        serving(tmp_path / "artifact", workload) as first,
        serving(tmp_path / "artifact", workload) as second,
    ):
        assert first != second
        for target in (first, second):
            assert asyncio.run(serve_once(target, workload)) > 0
