"""From a checkpoint folder to an artifact folder: plan, check the room, stream, show it at once."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.export import decoder, layout
from llm_runtime.export.checkpoint import open_checkpoint
from llm_runtime.export.config import ModelConfig, read_config
from llm_runtime.export.decoder import DecoderSpec
from llm_runtime.export.families.registry import read_spec
from llm_runtime.export.graph import Graph
from llm_runtime.export.manifest import (
    MANIFEST_FILE,
    GraphRecord,
    Manifest,
    ManifestFile,
    SourceRecord,
)
from llm_runtime.export.memory import needed_memory
from llm_runtime.export.text_files import special_tokens, text_files
from llm_runtime.export.weights import Placement, place, sync, total_bytes, write_data
from llm_runtime.model.progress import Progress, Step, Unwatched
from llm_runtime.model.selection import CONFIG_FILE
from llm_runtime.model.space import full_disk_is_no_space, require_disk, require_memory


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: a checkpoint folder, the artifact folder to make, and where it came from.

    ``memory_limit`` in bytes, None without one.
    """

    source: Path
    destination: Path
    record: SourceRecord
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that is known before the first byte is written."""

    config: ModelConfig
    spec: DecoderSpec
    graph: Graph
    placements: list[Placement]


def export_model(request: ExportRequest, progress: Progress | None = None) -> Manifest:
    """Writes the artifact and returns its manifest; the folder appears whole or not at all.

    Equal checkpoints give equal bytes. Raises ModelError with every reason a checkpoint or the
    machine can give.
    """
    _refuse_existing(request.destination)
    plan = _plan(request.source)
    require_memory(
        needed_memory(plan.spec, total_bytes(plan.placements)),
        request.memory_limit,
        "exporting and verifying the model",
    )
    parent = request.destination.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    require_disk(parent, total_bytes(plan.placements))
    with full_disk_is_no_space(parent), _partial_folder(request.destination) as folder:
        manifest = _write(request, plan, folder, progress or Unwatched())
    return manifest


def _refuse_existing(destination: Path) -> None:
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ModelError(
            Reason.EXPORT_FAILED,
            f"{destination} exists already; name a folder that does not, or delete it first",
        )


def _plan(source: Path) -> _Plan:
    if not source.is_dir():
        raise ModelError(
            Reason.FILE_NOT_FOUND,
            f"{source} is not a folder; name one that holds config.json and model.safetensors",
        )
    # Weights first: a folder of ONNX files often lacks a config.json of the kind we read.
    checkpoint = open_checkpoint(source)
    config = read_config(source / CONFIG_FILE)
    spec = read_spec(config)
    graph = decoder.build(spec, checkpoint)
    return _Plan(config, spec, graph, place(graph.weights.values()))


@contextmanager
def _partial_folder(destination: Path) -> Iterator[Path]:
    """A hidden folder beside ``destination`` that takes its name at the end, or goes."""
    parent = destination.absolute().parent
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}.partial-", dir=parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(destination)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(request: ExportRequest, plan: _Plan, folder: Path, progress: Progress) -> Manifest:
    files = [
        _write_file(folder / name, content)
        for name, content in text_files(request.source, plan.spec.vocab_size)
    ]
    model = plan.graph.to_model(plan.placements)
    graph_bytes = model.SerializeToString(deterministic=True)
    files.append(_write_file(folder / layout.GRAPH_FILE, graph_bytes))
    progress.begin(Step.EXPORT, total_bytes(plan.placements))
    data = write_data(folder, plan.placements, progress.advance)
    manifest = _manifest(request, plan, files + data, data)
    _write_file(folder / MANIFEST_FILE, manifest.to_bytes())
    _sync_folder(folder)
    return manifest


def _manifest(
    request: ExportRequest, plan: _Plan, files: list[ManifestFile], data: list[ManifestFile]
) -> Manifest:
    return Manifest(
        source=request.record,
        family=plan.spec.family,
        exporter_graph_version=layout.EXPORTER_GRAPH_VERSION,
        minimum_onnxruntime=layout.MINIMUM_ONNXRUNTIME,
        opset=layout.OPSET,
        graph=GraphRecord(
            file=layout.GRAPH_FILE,
            data_files=tuple(file.path for file in data),
            layout=plan.spec.layout(),
        ),
        tokens=special_tokens(request.source, plan.config),
        parameters=decoder.parameters(plan.graph),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _write_file(path: Path, content: bytes) -> ManifestFile:
    with path.open("xb") as file:
        file.write(content)
        sync(file)
    digest = hashlib.sha256(content).hexdigest()
    return ManifestFile(path=path.name, size=len(content), sha256=digest)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
