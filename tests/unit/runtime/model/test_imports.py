"""Fetching an artifact in the runtime image needs no exporter, and loads none."""

import subprocess
import sys


def test_fetching_and_verifying_load_neither_exporter_nor_hub() -> None:
    script = (
        "import sys; import llm_runtime.commands.fetch, llm_runtime.model.artifact;"
        "heavy = {'onnx', 'onnxruntime', 'huggingface_hub', 'torch', 'safetensors'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], timeout=60, check=False)
    assert done.returncode == 0
