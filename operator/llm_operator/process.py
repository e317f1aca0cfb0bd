"""The process: settings -> client -> parts -> kopf, which runs them until a signal. Wiring only."""

import asyncio
import logging
import os
import sys

import kopf

from llm_operator import handlers
from llm_operator.kube.connect import connect
from llm_operator.reconcile.plan import plan
from llm_operator.settings import Settings, SettingsError
from llm_operator.telemetry import logs
from llm_operator.wiring import Operator, assemble

logger = logging.getLogger(__name__)


def run() -> None:
    """Runs the operator. Exit codes: 0 after a signal, 2 for bad settings, 1 for all else."""
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"llm-operator: {error}\n")
        sys.exit(2)
    logs.configure(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except Exception:
        logger.exception("The operator ended with an error")
        sys.exit(1)


async def _run(settings: Settings) -> None:
    api = await connect(os.environ.get("KUBECONFIG", ""))
    await operate(assemble(settings, api, plan))


async def operate(operator: Operator) -> None:
    """Runs an operator under kopf until a signal comes or one of its parts ends."""
    registry, loop = kopf.OperatorRegistry(), operator.loop
    handlers.register(registry, loop.queue, loop.roster, operator.client.api.configuration)
    failures: list[BaseException] = []

    async def stop() -> None:
        try:
            await operator.stop()
        except Exception as error:  # kopf would only log it, and the process must fail
            failures.append(error)

    handlers.register_lifecycle(registry, operator.start, stop)
    namespaces = operator.settings.watch_namespaces
    await kopf.operator(
        registry=registry,
        settings=handlers.quiet(kopf.OperatorSettings()),
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=operator.ended,
    )
    for failure in failures:
        raise failure
