"""The line of held calls: who came first goes first."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Line:
    """Calls by the number of their arrival."""

    _waiting: "dict[int, asyncio.Future[None]]" = field(default_factory=dict)

    async def wait(self, number: int, seconds: float) -> None:
        """Returns when the line moves, at the latest after so many seconds."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return
        finally:
            del self._waiting[number]

    def move(self) -> None:
        """Lets everybody look again, in the order of arrival."""
        for number in sorted(self._waiting):
            self.call(number)

    def call(self, number: int) -> None:
        """Lets one look again, if it waits."""
        future = self._waiting.get(number)
        if future is not None and not future.done():
            future.set_result(None)
