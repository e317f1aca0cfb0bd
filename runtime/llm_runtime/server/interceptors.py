"""What every call gets: an id, a deadline, and a status for whatever went wrong."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Container
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

import grpc
from google.protobuf.message import Message

from llm_runtime.server.calls import Calls
from llm_runtime.server.refusal import RefusedError
from llm_runtime.server.rpc import AsyncInterceptor, Context, Handler, Trailers

log = logging.getLogger(__name__)

# A health watch lasts as long as its connection.
_HEALTH = "/grpc.health.v1.Health/"
Behaviour = Callable[[Any, Context], Awaitable[Any]]
call_id: ContextVar[str] = ContextVar("call_id")


class CallInterceptor(AsyncInterceptor):
    """Wraps unary and server-streaming calls; others (reflection) pass unchanged.

    Behaviours are coroutines that write to the context: an async generator would be left to the
    garbage collector when its call is cancelled, and its slot with it.
    """

    def __init__(
        self,
        longest_seconds: float,
        endless: Container[str] = (),
        trailers: Callable[[], Trailers] = tuple,
    ) -> None:
        """What holds for which calls.

        Args:
            longest_seconds: calls are cut then.
            endless: methods that are not, and that the end of a server does not wait for.
            trailers: what the status of a call brings along, however the call ends.
        """
        self.calls = Calls()
        self._longest = longest_seconds
        self._endless = endless
        self._trailers = trailers
        self._numbers = itertools.count(1)
        self._started = int(time.time())

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Returns the handler with id, deadline and error mapping around it."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        method = handler_call_details.method
        if method.startswith(_HEALTH):
            return handler
        make, behaviour = (
            (grpc.unary_stream_rpc_method_handler, handler.unary_stream)
            if handler.response_streaming
            else (grpc.unary_unary_rpc_method_handler, handler.unary_unary)
        )
        if not asyncio.iscoroutinefunction(behaviour):
            return handler
        return make(
            self._guard(method, behaviour),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guard(self, method: str, behaviour: Behaviour) -> Behaviour:
        is_endless = method in self._endless
        longest = None if is_endless else self._longest

        async def guarded(request: Message, context: Context) -> Any:
            name = f"{self._started:x}-{next(self._numbers)}"
            call_id.set(name)
            try:
                with nullcontext() if is_endless else self.calls:
                    async with asyncio.timeout(longest):
                        answer = await behaviour(request, context)
                context.set_trailing_metadata(self._trailers())
                return answer
            except RefusedError as error:
                refused = error
            except grpc.aio.BaseError:
                if not context.done():
                    raise
                return None  # the caller went away while a message was on its way
            except TimeoutError:
                refused = RefusedError(
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    f"The request took longer than {self._longest:g} s, the limit of this server",
                )
            except Exception:  # a bug must neither end the server nor show itself to the caller
                log.exception("Call failed", extra={"method": method, "call": name})
                refused = RefusedError(
                    grpc.StatusCode.INTERNAL, f"The server failed on this request (call {name})"
                )
            # gRPC keeps the end of a call in a cycle with this frame. What 1 MB was parsed into, 25
            # MiB at worst, must not wait there, or in the traceback, until the collector comes by.
            del request
            refused.__traceback__ = None
            trailers = _hint(refused) + self._trailers()
            await context.abort(refused.code, refused.message, trailers)

        return guarded


def _hint(refused: RefusedError) -> Trailers:
    if refused.retry_after_ms is None:
        return ()
    # gRPC clients with a retry policy obey the first one, people and other clients read the second.
    hint = str(refused.retry_after_ms)
    return (("grpc-retry-pushback-ms", hint), ("retry-after-ms", hint))
