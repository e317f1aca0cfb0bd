"""``llm-runtime export``: a checkpoint folder becomes an artifact folder."""

from pathlib import Path

import click

from llm_runtime.commands.outcome import finish
from llm_runtime.job.display import displayed
from llm_runtime.job.result import Facts
from llm_runtime.job.settings import PRECISIONS
from llm_runtime.model.space import memory_limit, shown


@click.command(name="export")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--precision", type=click.Choice(PRECISIONS), default=PRECISIONS[0])
@click.option(
    "--memory-limit",
    type=click.IntRange(min=1),
    envvar="LLM_MEMORY_LIMIT_BYTES",
    help="Bytes; the control group's limit counts besides.",
)
def command(source: Path, destination: Path, precision: str, memory_limit: int | None) -> None:
    """Export the checkpoint folder SOURCE (config.json, *.safetensors, tokenizer.json) to the
    artifact folder DESTINATION.
    """
    finish(
        "export",
        lambda: _export(source, destination, precision, memory_limit),
        lambda facts: f"{destination}: {facts['family']} {precision}, {shown(facts['sizeBytes'])}",
    )


def _export(source: Path, destination: Path, precision: str, limit: int | None) -> Facts:
    from llm_runtime.export.exporter import ExportRequest, export_model
    from llm_runtime.export.manifest import SourceRecord
    from llm_runtime.model.digests import folder_sha256

    revision = f"sha256:{folder_sha256(source)}"
    record = SourceRecord(uri="local", revision=revision)
    with displayed() as progress:
        manifest = export_model(
            ExportRequest(source, destination, record, memory_limit(limit)), progress
        )
    return {
        "family": manifest.family,
        "precision": precision,
        "sizeBytes": manifest.size_bytes,
        "resolvedRevision": revision,
    }
