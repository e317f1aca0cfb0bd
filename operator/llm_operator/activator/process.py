"""The process: settings -> client -> parts, which run until a signal."""

import asyncio
import logging
import os
import signal
import sys

from llm_operator.activator.settings import Settings
from llm_operator.activator.wiring import assemble
from llm_operator.kube.connect import connect
from llm_operator.settings import SettingsError
from llm_operator.telemetry import logs

logger = logging.getLogger(__name__)


def run() -> None:
    """Runs the activator. Exit codes: 0 after a signal, 2 for bad settings, 1 for all else."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"llm-activator: {error}\n")
        sys.exit(2)
    logs.configure(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except Exception:
        logger.exception("The activator ended with an error")
        sys.exit(1)


async def _run(settings: Settings) -> None:
    leave = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave.set)
    api = await connect(os.environ.get("KUBECONFIG", ""))
    await assemble(settings, api).run(leave)
