"""Tells one event loop that the engine's load has changed, once for each time it asks.

Steps are far more frequent than anybody wants to hear of them, and most of the time nobody listens:
a bell that nobody has armed costs a step next to nothing.
"""

import asyncio
from collections.abc import Callable


class Bell:
    """Rung from any thread; armed from an event loop."""

    def __init__(self) -> None:
        self._armed: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def arm(self, listener: Callable[[], None]) -> None:
        """Has the listener called in the running event loop after the next change, once.

        To be armed before the load is read, or a change in between is missed.
        """
        self._armed = (asyncio.get_running_loop(), listener)

    def ring(self) -> None:
        """Says that something has changed."""
        armed, self._armed = self._armed, None
        if armed is None:
            return
        loop, listener = armed
        if not loop.is_closed():
            loop.call_soon_threadsafe(listener)
