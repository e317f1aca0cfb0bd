"""One runtime process: its parts, how they are wired, and the order in which they go."""

import asyncio
import logging
import signal
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass

from llm_runtime.engine.loop import Engine
from llm_runtime.server.admission import Bounds
from llm_runtime.server.auth import TokenVerifier
from llm_runtime.server.control import ControlService, load_message
from llm_runtime.server.exposition import serve_metrics
from llm_runtime.server.health import Health
from llm_runtime.server.lifecycle import EngineDied, Loaded, Terminate
from llm_runtime.server.load_feed import LoadFeed
from llm_runtime.server.load_report import load_report
from llm_runtime.server.load_stream import LoadStream
from llm_runtime.server.model import ServedModel
from llm_runtime.server.places import Room
from llm_runtime.server.ports import Connections, DataPort, Spoken, open_control
from llm_runtime.server.runner import Actions, Runner
from llm_runtime.server.service import InferenceService, ServiceParts
from llm_runtime.settings import ServeSettings
from llm_runtime.telemetry.metrics import Metrics, Snapshot

log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 1.0
# After the limit of a drain, and when the engine has died, last messages get this long.
_FLUSH_SECONDS = 5.0
# Calls of the data port beyond those that run or wait: health checks, reflection, and requests that
# are being read or refused. More would only fill the memory.
_SPARE_CALLS = 128
# Load reports and health watches: one of each for 500 clients. A stream takes 28 KiB.
_LISTENERS = 1000


@dataclass(frozen=True, slots=True)
class Ports:
    """What the servers really listen on."""

    data: int
    control: int
    metrics: int


class App:
    """A process around an engine.

    `open` returns while the model still loads; `wait` returns the exit code.
    """

    def __init__(
        self, settings: ServeSettings, engine: Engine, model: ServedModel, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics
        self._health = Health()
        self._bounds = _bounds(settings, engine, model)
        service = InferenceService(
            ServiceParts(
                engine=engine,
                model=model,
                bounds=self._bounds,
                metrics=metrics,
                slow_client_seconds=settings.slow_client_seconds,
                longest_seconds=settings.request_timeout_seconds,
            )
        )
        report = LoadStream(lambda: load_report(engine.utilization))
        self._data = DataPort(
            Spoken(service, self._health, report, settings.pod_name),
            Connections(settings.max_connection_age_seconds, settings.request_timeout_seconds),
            Room(_LISTENERS, self._bounds.slots + self._bounds.max_queue + _SPARE_CALLS),
            f"{settings.host}:{settings.data_port}",
        )
        self._feed = LoadFeed(lambda: load_message(engine, self.runner.phase), engine.news)
        self._stack = AsyncExitStack()
        self.runner: Runner
        self._control_port = 0
        self._metrics_port = 0

    @property
    def ports(self) -> Ports:
        """The ports; that for data is known once the pod serves."""
        return Ports(self._data.port, self._control_port, self._metrics_port)

    async def open(self) -> None:
        """Starts loading the model and opens the ports for control and metrics.

        Raises OSError or RuntimeError.
        """
        await self._health.begin()
        self.runner = Runner(self._actions(), self._settings.lame_duck_seconds)
        self._stack.push_async_callback(self._stop_engine)
        self._start_engine()
        await self._open_control()
        self._metrics.watch(self._snapshot)
        server = serve_metrics(
            self._metrics.registry, self._settings.host, self._settings.metrics_port
        )
        self._metrics_port = server.port
        self._stack.push_async_callback(asyncio.to_thread, server.close)
        heartbeat = asyncio.create_task(self._watch_heartbeat())
        self._stack.callback(heartbeat.cancel)

    async def wait(self) -> int:
        """Waits for the end, takes everything down and returns the exit code."""
        self._handle_signals()
        try:
            return await self.runner.exit_code
        finally:
            await self.close()

    async def close(self) -> None:
        """Takes everything down, the engine last."""
        await self.runner.close()
        await self._data.close(_FLUSH_SECONDS)
        await self._stack.aclose()

    def _actions(self) -> Actions:
        return Actions(
            open_data=self._open_data,
            close_data=lambda limit: self._data.close(limit + _FLUSH_SECONDS),
            set_ready=self._set_ready,
            set_dead=lambda: self._health.set_alive(is_alive=False),
            end_running=self._engine.end_all,
            announce=self._feed.announce,
        )

    async def _open_data(self) -> None:
        """A drain that is taken back was none."""
        self._engine.forget_cut_off()
        await self._data.open()

    async def _set_ready(self, is_ready: bool) -> None:
        if is_ready:
            await self._health.set_started()
        await self._health.set_ready(is_ready=is_ready)

    def _start_engine(self) -> None:
        loop = asyncio.get_running_loop()

        def ready(done: Future[None]) -> None:
            if done.exception() is None:
                loop.call_soon_threadsafe(self.runner.post_soon, Loaded())

        def ended(done: Future[None]) -> None:
            if done.exception() is not None:
                loop.call_soon_threadsafe(self.runner.post_soon, EngineDied())

        self._engine.ready.add_done_callback(ready)
        self._engine.ended.add_done_callback(ended)
        self._engine.start()

    async def _stop_engine(self) -> None:
        """Waits for the current step only; a hanging one is left to the end of the process."""
        self._engine.stop()
        ended = asyncio.wrap_future(self._engine.ended)
        await asyncio.wait([ended], timeout=_FLUSH_SECONDS)
        if ended.done() and not ended.cancelled():
            ended.exception()

    async def _open_control(self) -> None:
        settings = self._settings
        service = ControlService(self.runner, self._feed, settings.drain_timeout_seconds)
        control = await open_control(
            service,
            self._health,
            TokenVerifier(settings.control_auth_file),
            f"{settings.host}:{settings.control_port}",
        )
        self._control_port = control.port
        self._stack.push_async_callback(control.close)
        self._stack.callback(self._feed.close)  # before the port closes, so that streams end well

    async def _watch_heartbeat(self) -> None:
        """Liveness is the engine's progress and nothing else."""
        was_alive = True
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            is_alive = self._engine.stalled_seconds() < self._settings.hang_seconds
            if is_alive != was_alive and not self._engine.ended.done():
                log.error("Liveness changed", extra={"alive": is_alive})
                await self._health.set_alive(is_alive=is_alive)
                was_alive = is_alive

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        event = Terminate(self._settings.drain_timeout_seconds)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.runner.post_soon, event)

    def _snapshot(self) -> Snapshot:
        shape = self._engine.config.shape
        return Snapshot(
            load=self._engine.load,
            received=self._engine.received,
            capacity_tokens=shape.slots * shape.context,
            slots=shape.slots,
            is_ready=self.runner.is_ready,
            is_draining=self.runner.is_draining,
        )


def _bounds(settings: ServeSettings, engine: Engine, model: ServedModel) -> Bounds:
    slots = engine.config.shape.slots
    max_queue = 4 * slots if settings.max_queue is None else settings.max_queue
    tokens = settings.max_queued_tokens or max(1, max_queue) * model.context
    return Bounds(slots, max_queue, tokens)
