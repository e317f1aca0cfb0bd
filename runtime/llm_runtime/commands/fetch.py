"""``llm-runtime fetch``: a checkpoint or an artifact comes into a folder."""

import os
from pathlib import Path

import click

from llm_runtime.commands.outcome import finish
from llm_runtime.commands.registry_options import auth_file, plain_http
from llm_runtime.job.display import displayed
from llm_runtime.job.result import Facts
from llm_runtime.job.settings import optional_path, read_token
from llm_runtime.model.progress import Progress
from llm_runtime.model.reference import Reference
from llm_runtime.model.registry import RegistryOptions
from llm_runtime.model.source import ImageSource, Source, parse_source


@click.command(name="fetch")
@click.argument("uri")
@click.argument("destination", type=click.Path(path_type=Path))
@plain_http()
@auth_file()
def command(uri: str, destination: Path, plain_http: bool, auth_file: Path | None) -> None:
    """Fetch URI into the folder DESTINATION.

    \b
    hf://[org/]name@revision       a checkpoint (LLM_SOURCE_ENDPOINT, LLM_SOURCE_TOKEN_FILE)
    pvc:///folder                  a checkpoint on a mounted volume
    https://…#sha256=<hex>         a checkpoint as tar, tar.gz or .json index
    oci://host/repo@sha256:<hex>   an artifact, as `llm-runtime push` stored it
    """
    options = RegistryOptions(plain_http, auth_file)
    finish(
        "fetch",
        lambda: _fetch(uri, destination, options),
        lambda facts: f"{destination}: {facts['resolvedRevision']}",
    )


def _fetch(uri: str, destination: Path, options: RegistryOptions) -> Facts:
    source = parse_source(uri)
    with displayed() as progress:
        match source:
            case ImageSource(reference):
                return _fetch_artifact(reference, destination, options, progress)
        return _fetch_checkpoint(source, destination, progress)


def _fetch_artifact(
    reference: Reference, destination: Path, options: RegistryOptions, progress: Progress
) -> Facts:
    from llm_runtime.model.artifact import fetch

    stored = fetch(reference, destination, options, progress)
    return {
        "image": stored.image,
        "digest": stored.digest,
        "sizeBytes": stored.size_bytes,
        "resolvedRevision": stored.digest,
    }


def _fetch_checkpoint(source: Source, destination: Path, progress: Progress) -> Facts:
    from llm_runtime.model.download_source import Access, Download, download_source

    access = Access(
        hub_endpoint=os.environ.get("LLM_SOURCE_ENDPOINT") or None,
        token=read_token(optional_path(os.environ, "LLM_SOURCE_TOKEN_FILE")),
    )
    download = Download(source, destination, lambda _: None, lambda _: False)
    pinned = download_source(download, access, progress)
    return {"resolvedRevision": pinned.revision}
