"""``llm-runtime push``: an artifact folder goes into a registry."""

from pathlib import Path

import click

from llm_runtime.commands.outcome import finish
from llm_runtime.commands.registry_options import auth_file, plain_http
from llm_runtime.job.display import displayed
from llm_runtime.job.result import Facts
from llm_runtime.model.reference import parse_reference
from llm_runtime.model.registry import RegistryOptions


@click.command(name="push")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("target", metavar="HOST/REPOSITORY:TAG")
@plain_http()
@auth_file()
def command(directory: Path, target: str, plain_http: bool, auth_file: Path | None) -> None:
    """Push the artifact DIRECTORY and print its digest."""
    options = RegistryOptions(plain_http, auth_file)
    finish("push", lambda: _push(directory, target, options), lambda facts: str(facts["digest"]))


def _push(directory: Path, target: str, options: RegistryOptions) -> Facts:
    from llm_runtime.model.artifact import push

    with displayed() as progress:
        stored = push(directory, parse_reference(target), options, progress)
    return {
        "image": stored.image,
        "digest": stored.digest,
        "sizeBytes": stored.size_bytes,
        "family": stored.manifest.family,
        "precision": stored.manifest.precision,
    }
