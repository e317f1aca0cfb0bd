"""The `python -m llm_operator.xds` process."""

import asyncio

from kubernetes.aio.client.api_client import ApiClient

from llm_operator import background
from llm_operator.xds.settings import Settings
from llm_operator.xds.wiring import assemble


def run() -> None:
    """Runs the control plane; exit codes as in `background.run`."""
    background.run("llm-xds", Settings, _serve)


async def _serve(settings: Settings, api: ApiClient, leave: asyncio.Event) -> None:
    await assemble(settings, api).run(leave)
