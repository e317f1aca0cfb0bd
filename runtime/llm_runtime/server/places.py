"""How many calls there may be at a time on the data port, of whatever kind.

A call takes its place before its message is read and gives it back when its task ends. One that
finds none is refused unread. Calls that only listen are bounded apart from all others: they last as
long as their connections, so that a few hundred clients would leave no room for a request. (gRPC's
own bound, maximum_concurrent_rpcs, knows one kind of calls.)
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from llm_runtime.server import load_stream
from llm_runtime.server.rpc import AsyncInterceptor, Context, Handler, Trailers

_LISTENERS = frozenset({load_stream.METHOD, "/grpc.health.v1.Health/Watch"})


@dataclass(frozen=True, slots=True)
class Room:
    """How many there may be.

    Attributes:
        listeners: streams of load reports and health watches.
        others: all other calls.
    """

    listeners: int
    others: int


class PlacesInterceptor(AsyncInterceptor):
    """Refuses calls beyond the room with RESOURCE_EXHAUSTED and the trailers of any other end."""

    def __init__(self, room: Room, trailers: Callable[[], Trailers]) -> None:
        self._listeners = _Places(room.listeners)
        self._others = _Places(room.others)
        self._trailers = trailers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Returns the method's handler, or one that refuses. Runs in the task of the call."""
        listens = handler_call_details.method in _LISTENERS
        places = self._listeners if listens else self._others
        if places.take():
            return await continuation(handler_call_details)
        # Of all kinds, only this handler is called before a message was read.
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    async def _refuse(self, _: Any, context: Context) -> None:
        message = "This pod has too many calls, of whatever kind"
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message, self._trailers())


class _Places:
    """Places of one kind. Used in one event loop."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> bool:
        """Takes one until the running task ends; False where there is none."""
        task = asyncio.current_task()
        if task is None or self._free == 0:
            return False
        self._free -= 1
        task.add_done_callback(self._give_back)
        return True

    def _give_back(self, _: object) -> None:
        self._free += 1
