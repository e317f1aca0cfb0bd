"""`llm-runtime serve` verifies the artifact, plans the memory and runs the server to its end."""

import asyncio
import gc
import json
import logging
import os
import sys
from pathlib import Path

import click

from llm_runtime.backend.base import BackendError
from llm_runtime.engine.capacity import CapacityError, Needs, Wishes, plan_shape
from llm_runtime.engine.loop import Engine, EngineConfig
from llm_runtime.engine.scheduler import Budget
from llm_runtime.errors import ModelError, Reason
from llm_runtime.export.manifest import Manifest
from llm_runtime.server.app import App
from llm_runtime.server.model import ModelIdentity, ServedModel, load_model
from llm_runtime.settings import ServeSettings, SettingsError, read_settings
from llm_runtime.telemetry import logs
from llm_runtime.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

# Prompt tokens of a step beside decoding sequences: their wait for it stays below ~100 ms on two
# cores.
_MIXED_CHUNK = 64
# The engine's thread waits this long for the event loop's to give up the interpreter after a step.
_SWITCH_SECONDS = 0.0005


@click.command(name="serve")
def command() -> None:
    """Serve an artifact over gRPC. All settings are environment variables (LLM_MODEL_DIR, ...)."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        _leave_reason(os.environ.get("LLM_TERMINATION_LOG"), str(error))
        raise click.UsageError(str(error)) from error
    logs.configure(settings.log_level, settings.identity)
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        code = asyncio.run(serve(settings))
    except ModelError as error:
        log.error("Cannot serve", extra={"reason": error.reason, "detail": error.message})
        _leave_reason(settings.termination_log, error.message)
        code = 1
    logging.shutdown()
    os._exit(code)  # an engine that hangs in a kernel must not keep the process


async def serve(settings: ServeSettings) -> int:
    """Runs the server. Returns the exit code; raises ModelError when the model cannot be served."""
    metrics = Metrics()
    engine, model = await asyncio.to_thread(build, settings, metrics)
    app = App(settings, engine, model, metrics)
    await app.open()
    gc.freeze()
    code = await app.wait()
    failed = engine.ready.exception() if engine.ready.done() else None
    if failed is not None:
        raise ModelError(Reason.MODEL_LOAD_FAILED, f"The model cannot be loaded: {failed}")
    return code


def build(settings: ServeSettings, metrics: Metrics) -> tuple[Engine, ServedModel]:
    """Verifies and reads the artifact. Raises ModelError.

    The graph itself is loaded when the engine starts.
    """
    from llm_runtime.backend.ort import OrtBackend
    from llm_runtime.model.verify import verify_artifact

    manifest = verify_artifact(settings.model_dir)
    layout = manifest.graph.layout
    try:
        shape = plan_shape(_needs(manifest), _wishes(settings))
        graph = settings.model_dir / manifest.graph.file
        backend = OrtBackend(graph, layout, shape, settings.threads)
    except (CapacityError, BackendError) as error:
        raise ModelError(Reason.MODEL_LOAD_FAILED, str(error)) from error
    config = EngineConfig(shape, Budget(alone=shape.chunk, mixed=min(_MIXED_CHUNK, shape.chunk)))
    identity = ModelIdentity(
        settings.model_name, settings.model_digest, manifest.family, manifest.precision
    )
    model = load_model(settings.model_dir, manifest, identity, shape.context)
    log.info(
        "Planned the memory",
        extra={"slots": shape.slots, "context": shape.context, "threads": settings.threads},
    )
    return Engine(backend, config, metrics), model


def _needs(manifest: Manifest) -> Needs:
    weights = {manifest.graph.file, *manifest.graph.data_files}
    return Needs(
        weight_bytes=sum(file.size for file in manifest.files if file.path in weights),
        bytes_per_token=manifest.graph.layout.bytes_per_token,
        max_context=manifest.graph.layout.max_context,
    )


def _wishes(settings: ServeSettings) -> Wishes:
    return Wishes(
        settings.max_context_length, settings.max_concurrent_sequences, settings.memory_limit_bytes
    )


def _leave_reason(path: Path | str | None, message: str) -> None:
    """Writes why the model cannot be served where the operator reads it."""
    if not path:
        return
    document = {"ok": False, "reason": Reason.MODEL_LOAD_FAILED, "message": message[:900]}
    text = json.dumps(document, ensure_ascii=False)  # at most 4096 bytes, the kubelet's limit
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        log.warning("Could not write the termination log", extra={"detail": str(problem)})
