"""The `python -m llm_operator.activator` process."""

import asyncio

from kubernetes.aio.client.api_client import ApiClient

from llm_operator import background
from llm_operator.activator.settings import Settings
from llm_operator.activator.wiring import assemble


def run() -> None:
    """Runs the activator; exit codes as in `background.run`."""
    background.run("llm-activator", Settings, _serve)


async def _serve(settings: Settings, api: ApiClient, leave: asyncio.Event) -> None:
    await assemble(settings, api).run(leave)
