"""The calls that a server works on, counted, so that its end can wait for them alone."""

import asyncio
from types import TracebackType


class Calls:
    """Entered by each call for as long as it runs. Used in one event loop."""

    def __init__(self) -> None:
        self._running = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    @property
    def running(self) -> int:
        """How many there are now."""
        return self._running

    async def over(self) -> None:
        """Waits until there is none."""
        await self._is_idle.wait()

    def __enter__(self) -> None:
        self._running += 1
        self._is_idle.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running -= 1
        if self._running == 0:
            self._is_idle.set()
