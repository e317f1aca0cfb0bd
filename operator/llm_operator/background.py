"""A process beside the operator: settings -> client -> what runs until a signal."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from kubernetes.aio.client.api_client import ApiClient

from llm_operator.environment import Environment
from llm_operator.kube.connect import connect
from llm_operator.kube.watch import Watch
from llm_operator.settings import SettingsError
from llm_operator.telemetry import logs

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Environment)

STUCK_SECONDS = 120.0
"""A watch whose own steps are older hangs; the API server being away does not make it so."""

Serve = Callable[[S, ApiClient, asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""


def run(command: str, settings_type: type[S], serve: Serve[S]) -> None:
    """Runs the process. Exit codes: 0 after a signal, 2 for bad settings, 1 for all else."""
    try:
        settings = settings_type.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"{command}: {error}\n")
        sys.exit(2)
    logs.configure(settings.log_level)
    try:
        asyncio.run(_run(settings, serve))
    except Exception:
        logger.exception("The process ended with an error", extra={"command": command})
        sys.exit(1)


async def _run(settings: S, serve: Serve[S]) -> None:
    leave = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave.set)
    await serve(settings, await connect(os.environ.get("KUBECONFIG", "")), leave)


async def together(
    parts: Iterable[Coroutine[Any, Any, None]],
    leave: asyncio.Event,
    leaving: Callable[[], Awaitable[None]],
) -> None:
    """Runs parts side by side until `leave` is set, then calls `leaving` beside them, and ends
    them. Raises what ended a part by itself."""
    told = asyncio.create_task(leave.wait(), name="leave")
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait({told, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if leave.is_set():
            await leaving()
    finally:
        for task in (told, *tasks):
            task.cancel()
        await asyncio.wait({told, *tasks})
    for task in tasks:
        if not task.cancelled():
            task.result()


def is_stuck(watches: Sequence[Watch], now: float) -> bool:
    """Whether a watch that has begun takes no steps of its own any more; `now` is loop time."""
    return any(now - watch.beat > STUCK_SECONDS for watch in watches if watch.beat)
