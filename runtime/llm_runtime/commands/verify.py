"""``llm-runtime verify``: is an artifact what it says, and does it answer."""

from pathlib import Path

import click

from llm_runtime.commands.outcome import finish
from llm_runtime.job.display import displayed
from llm_runtime.job.result import Facts
from llm_runtime.job.self_check import verify_model


@click.command(name="verify")
@click.argument("directory", type=click.Path(path_type=Path))
def command(directory: Path) -> None:
    """Check digests and references of the artifact DIRECTORY, load it and compare its answers."""
    finish(
        "verify",
        lambda: _verify(directory),
        lambda facts: (
            f"{directory}: intact, answers alike in chunks and as a whole"
            f" (difference {facts['quality']['chunkedPrefillMaxDifference']:.1e})"
        ),
    )


def _verify(directory: Path) -> Facts:
    with displayed() as progress:
        manifest, quality = verify_model(directory, progress)
    return {
        "family": manifest.family,
        "precision": manifest.precision,
        "sizeBytes": manifest.size_bytes,
        "quality": quality,
    }
