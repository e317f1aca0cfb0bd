"""Verifies an artifact as far as a machine can: its bytes, and its answers on onnxruntime."""

from pathlib import Path

from llm_runtime.export.manifest import Manifest
from llm_runtime.model.progress import Progress
from llm_runtime.model.self_check import check_answers, check_shape
from llm_runtime.model.verify import verify_artifact

_THREADS = 2


def verify_model(
    directory: Path, progress: Progress | None = None
) -> tuple[Manifest, dict[str, float]]:
    """The manifest, and figures of the self-check. Raises ModelError."""
    manifest = verify_artifact(directory, progress)
    # Imported here: exporting and pushing need no onnxruntime.
    from llm_runtime.backend.ort import OrtBackend

    layout = manifest.graph.layout
    backend = OrtBackend(directory / manifest.graph.file, layout, check_shape(layout), _THREADS)
    return manifest, check_answers(backend, layout)
