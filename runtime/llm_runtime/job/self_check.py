"""Verifies an artifact as far as a machine can: bytes, chat template, answers on onnxruntime."""

from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import Manifest
from llm_runtime.model.progress import Progress
from llm_runtime.model.self_check import check_answers, check_shape
from llm_runtime.model.verify import verify_artifact
from llm_runtime.tokenizer.chat import ChatTemplate
from llm_runtime.tokenizer.codec import SpecialText

_THREADS = 2


def verify_model(
    directory: Path, progress: Progress | None = None
) -> tuple[Manifest, dict[str, float]]:
    """The manifest, and figures of the self-check. Raises ModelError."""
    manifest = verify_artifact(directory, progress)
    _check_template(directory)
    # Imported here: exporting and pushing need no onnxruntime.
    from llm_runtime.backend.ort import OrtBackend

    layout = manifest.graph.layout
    backend = OrtBackend(directory / manifest.graph.file, layout, check_shape(layout), _THREADS)
    return manifest, check_answers(backend, layout)


def _check_template(directory: Path) -> None:
    """A template that does not compile fails the export, not every pod that serves it."""
    try:
        ChatTemplate.load(directory, SpecialText())
    except ModelError as error:
        raise ModelError(Reason.EXPORT_FAILED, error.message) from error
