"""Does what the life cycle decides, one event after the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from llm_runtime.server.lifecycle import (
    LEAVING,
    Closed,
    Effect,
    Event,
    LameDuckOver,
    Lifecycle,
    LimitReached,
    NotNowError,
    Phase,
    advance,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Actions:
    """What the runner can do to the world.

    Attributes:
        open_data: opens a data port.
        close_data: refuses new calls on it and returns when the running ones are over; the
            limit in seconds is generous.
        set_ready: says whether calls should come here.
        set_dead: says that the pod has to be restarted.
        end_running: ends every request with the text so far.
        announce: tells that the phase has changed, after what that asked for was done.
    """

    open_data: Callable[[], Awaitable[None]]
    close_data: Callable[[float], Awaitable[None]]
    set_ready: Callable[[bool], Awaitable[None]]
    set_dead: Callable[[], Awaitable[None]]
    end_running: Callable[[], None]
    announce: Callable[[], None]


class Runner:
    """Keeps the state. `exit_code` is done when the process has to end."""

    def __init__(self, actions: Actions, lame_duck_seconds: float) -> None:
        self.exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._actions = actions
        self._lame_duck = lame_duck_seconds
        self._state = Lifecycle()
        self._lock = asyncio.Lock()
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._effects: Mapping[Effect, Callable[[], Awaitable[None]]] = {
            Effect.OPEN_DATA: actions.open_data,
            Effect.BECOME_READY: lambda: actions.set_ready(True),
            Effect.BECOME_UNREADY: lambda: actions.set_ready(False),
            Effect.BECOME_DEAD: actions.set_dead,
            Effect.WAIT_LAME_DUCK: self._wait_lame_duck,
            Effect.CLOSE_DATA: self._close_data,
            Effect.WAIT_LIMIT: self._wait_limit,
            Effect.END_RUNNING: self._end_running,
            Effect.EXIT: lambda: self._exit(0),
            Effect.EXIT_FAILED: lambda: self._exit(1),
        }

    @property
    def phase(self) -> Phase:
        """The phase now."""
        return self._state.phase

    @property
    def is_ready(self) -> bool:
        """True while calls are wanted."""
        return self._state.phase is Phase.SERVING

    @property
    def is_draining(self) -> bool:
        """True from a drain until it is taken back."""
        return self._state.phase in LEAVING

    async def post(self, event: Event) -> Phase:
        """Moves on, does what that asks for, and returns the phase. Raises NotNowError."""
        async with self._lock:
            before = self._state.phase
            move = advance(self._state, event)
            self._state = move.state
            if move.state.phase is not before:
                log.info(
                    "Entered a phase", extra={"phase": move.state.phase.name, "from": before.name}
                )
            for effect in move.effects:
                await self._effects[effect]()
            if move.state.phase is not before:
                self._actions.announce()
            return self._state.phase

    def post_soon(self, event: Event) -> None:
        """The same, from a callback; nothing happens once the runner is closed."""
        if not self._is_closed:
            self._spawn(self.post(event))

    async def close(self) -> None:
        """Stops all timers and moves on no more."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_lame_duck(self) -> None:
        self._spawn(self._later(self._lame_duck, LameDuckOver(self._state.epoch)))

    async def _wait_limit(self) -> None:
        self._spawn(self._later(self._state.timeout, LimitReached(self._state.epoch)))

    async def _close_data(self) -> None:
        self._spawn(self._closed(self._state))

    async def _end_running(self) -> None:
        self._actions.end_running()

    async def _exit(self, code: int) -> None:
        if not self.exit_code.done():
            self.exit_code.set_result(code)

    async def _later(self, seconds: float, event: Event) -> None:
        await asyncio.sleep(seconds)
        await self.post(event)

    async def _closed(self, state: Lifecycle) -> None:
        await self._actions.close_data(state.timeout)
        await self.post(Closed(state.epoch))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A step of the life cycle failed", exc_info=error)
            if not isinstance(error, NotNowError) and not self.exit_code.done():
                self.exit_code.set_result(1)
