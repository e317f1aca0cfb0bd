"""Whether an artifact is what its manifest says, checked before anything loads it."""

from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import MANIFEST_FILE, Manifest, ManifestFile, load_manifest
from llm_runtime.model.containment import open_regular
from llm_runtime.model.digests import stream_sha256
from llm_runtime.model.onnx_references import MAXIMUM_GRAPH_BYTES, check_graph
from llm_runtime.model.progress import Progress, Step, Unwatched


def verify_artifact(directory: Path, progress: Progress | None = None) -> Manifest:
    """Checks every file's size and sha256, that there are no others, and the graph's references.

    Raises ModelError: FileNotFound for a missing file, ChecksumMismatch for all else.
    """
    progress = progress or Unwatched()
    open_regular(directory, MANIFEST_FILE).close()
    manifest = load_manifest(directory)
    _refuse_unlisted(directory, manifest)
    progress.begin(Step.VERIFY, manifest.size_bytes)
    for file in manifest.files:
        _verify_file(directory, file)
        progress.advance(file.size)
    _verify_graph(directory, manifest)
    return manifest


def _refuse_unlisted(directory: Path, manifest: Manifest) -> None:
    listed = {file.path for file in manifest.files} | {MANIFEST_FILE}
    unlisted = sorted(path.name for path in directory.iterdir() if path.name not in listed)
    if unlisted:
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{directory} holds {unlisted[0][:100]!r}, which its manifest does not list; delete it"
            " or fetch the model into an empty folder",
        )


def _verify_file(directory: Path, file: ManifestFile) -> None:
    with open_regular(directory, file.path) as opened:
        digest, size = stream_sha256(opened)
    if (digest, size) != (file.sha256, file.size):
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{file.path} has {size} bytes and sha256 {digest}, the manifest says {file.size} and"
            f" {file.sha256}; fetch or export the model again",
        )


def _verify_graph(directory: Path, manifest: Manifest) -> None:
    sizes = {file.path: file.size for file in manifest.files}
    graph = manifest.graph
    if sizes[graph.file] > MAXIMUM_GRAPH_BYTES:
        raise ModelError(
            Reason.CHECKSUM_MISMATCH,
            f"{graph.file} has {sizes[graph.file]} bytes, at most {MAXIMUM_GRAPH_BYTES} are read;"
            " export the model again",
        )
    with open_regular(directory, graph.file) as opened:
        content = opened.read()
    check_graph(content, {name: sizes[name] for name in graph.data_files})
