"""The four steps of the export Job: fetch, export, verify, push.

Each reads what the one before has left in the work folder. When the artifact is in the registry
already, fetch notes it and the others end at once.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from llm_runtime.errors import ModelError, Reason
from llm_runtime.job.key import content_key
from llm_runtime.job.result import Facts
from llm_runtime.job.settings import JobSettings
from llm_runtime.job.state import JobState, load_state, save_state
from llm_runtime.model import artifact
from llm_runtime.model.artifact import StoredArtifact, find
from llm_runtime.model.download_source import Download, download_source
from llm_runtime.model.progress import Progress
from llm_runtime.model.reference import Reference
from llm_runtime.model.source import ImageSource, Pinned
from llm_runtime.model.space import memory_limit

log = logging.getLogger(__name__)

RunStep = Callable[[JobSettings, Progress], Facts]


def fetch(settings: JobSettings, progress: Progress) -> Facts:
    """Pins the source, asks whether its artifact exists, and downloads it if not."""
    settings.work.mkdir(parents=True, exist_ok=True)
    match settings.source:
        case ImageSource(reference):
            state = _stored_state(JobState(uri=settings.source_uri), _require(reference, settings))
        case source:
            lookup = _Lookup(settings)
            shutil.rmtree(settings.checkpoint, ignore_errors=True)
            download = Download(source, settings.checkpoint, inspect_config, lookup.exists)
            pinned = download_source(download, settings.access(), progress)
            state = lookup.state(pinned)
    save_state(settings.work, state)
    return facts_of(state)


def export(settings: JobSettings, progress: Progress) -> Facts:
    """Writes the artifact folder; the checkpoint goes afterwards, its room is needed no more."""
    from llm_runtime.export.exporter import ExportRequest, export_model
    from llm_runtime.export.manifest import SourceRecord

    state = load_state(settings.work)
    if not state.existed:
        request = ExportRequest(
            source=settings.checkpoint,
            destination=settings.artifact,
            record=SourceRecord(uri=state.uri, revision=state.resolved_revision),
            memory_limit=memory_limit(settings.memory_limit),
        )
        manifest = export_model(request, progress)
        shutil.rmtree(settings.checkpoint, ignore_errors=True)
        update = {
            "family": manifest.family,
            "precision": manifest.precision,
            "size_bytes": manifest.size_bytes,
        }
        state = state.model_copy(update=update)
        save_state(settings.work, state)
    return facts_of(state)


def verify(settings: JobSettings, progress: Progress) -> Facts:
    """Digests, references, and a self-check of the loaded model."""
    from llm_runtime.job.self_check import verify_model

    state = load_state(settings.work)
    if not state.existed:
        verify_model(settings.artifact, progress)
    return facts_of(state)


def push(settings: JobSettings, progress: Progress) -> Facts:
    """Stores the artifact under its key."""
    state = load_state(settings.work)
    if not state.existed:
        target = _tagged(settings, state.key)
        stored = artifact.push(settings.artifact, target, settings.registry, progress)
        state = _stored_state(state, stored).model_copy(update={"existed": False})
        save_state(settings.work, state)
    return facts_of(state)


STEPS: dict[str, RunStep] = {"fetch": fetch, "export": export, "verify": verify, "push": push}


def facts_of(state: JobState) -> Facts:
    """What of the state is known, under the names of the termination message."""
    document = state.model_dump(by_alias=True, exclude={"uri"})
    return {name: value for name, value in document.items() if value or value is False}


def inspect_config(folder: Path) -> None:
    """Refuses an architecture that cannot be exported before its weights are downloaded."""
    from llm_runtime.export.config import read_config
    from llm_runtime.export.families.registry import read_spec
    from llm_runtime.model.selection import CONFIG_FILE

    read_spec(read_config(folder / CONFIG_FILE))


class _Lookup:
    """Asks the registry once, as soon as the source is pinned, and remembers the answer."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._found: StoredArtifact | None = None
        self._key = ""

    def exists(self, pinned: Pinned) -> bool:
        """Whether the artifact of these weights is stored already."""
        self._key = content_key(pinned.identity, self._settings.precision)
        self._found = _find_intact(_tagged(self._settings, self._key), self._settings)
        return self._found is not None

    def state(self, pinned: Pinned) -> JobState:
        """What the next step needs to know."""
        state = JobState(
            uri=pinned.uri,
            resolved_revision=pinned.revision,
            key=self._key,
            precision=self._settings.precision,
        )
        return state if self._found is None else _stored_state(state, self._found)


def _find_intact(target: Reference, settings: JobSettings) -> StoredArtifact | None:
    try:
        return find(target, settings.registry)
    except ModelError as error:
        if error.reason not in (Reason.CHECKSUM_MISMATCH, Reason.FILE_NOT_FOUND):
            raise
        log.warning("The stored artifact is damaged and will be replaced: %s", error.message)
        return None


def _require(reference: Reference, settings: JobSettings) -> StoredArtifact:
    stored = find(reference, settings.registry)
    if stored is None:
        raise ModelError(
            Reason.FILE_NOT_FOUND, f"{reference} is not complete in its registry; push it again"
        )
    return stored


def _stored_state(state: JobState, stored: StoredArtifact) -> JobState:
    update = {
        "existed": True,
        "resolved_revision": state.resolved_revision or stored.manifest.source.revision,
        "image": stored.image,
        "digest": stored.digest,
        "size_bytes": stored.size_bytes,
        "family": stored.manifest.family,
        "precision": stored.manifest.precision,
    }
    return state.model_copy(update=update)


def _tagged(settings: JobSettings, key: str) -> Reference:
    return Reference(settings.repository.host, settings.repository.repository, tag=key)
