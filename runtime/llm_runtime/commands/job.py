"""``llm-runtime job``: a step of the export Job. All settings are environment variables."""

import os
from collections.abc import Mapping

import click

from llm_runtime.commands.outcome import finish
from llm_runtime.job.display import displayed
from llm_runtime.job.result import Facts
from llm_runtime.job.settings import read_job_settings
from llm_runtime.job.steps import STEPS
from llm_runtime.model.progress import BothProgress, SharedProgress, Step
from llm_runtime.server.export_progress import serving_progress


@click.command(name="job")
@click.argument("step", type=click.Choice([step.value for step in Step]))
def command(step: str) -> None:
    """Run one step of the export Job (LLM_SOURCE_URI, LLM_ARTIFACT_REPOSITORY, LLM_WORK_DIR…)."""
    finish(step, lambda: perform(step, os.environ), lambda facts: _line(step, facts))


def perform(step: str, environment: Mapping[str, str]) -> Facts:
    """One step with its progress shown and served. Raises ModelError."""
    settings = read_job_settings(environment)
    shared = SharedProgress()
    shared.begin(Step(step), 0)
    with (
        serving_progress(shared, settings.control_port, settings.control_auth),
        displayed() as display,
    ):
        return STEPS[step](settings, BothProgress(shared, display))


def _line(step: str, facts: Facts) -> str:
    if facts.get("existed"):
        return f"{step}: nothing to do, the artifact is stored already as {facts['digest']}"
    return f"{step}: done"
