import asyncio
import gc
import weakref
from typing import Any, NoReturn, cast

import grpc
import pytest

from llm_runtime.server.interceptors import CallInterceptor
from llm_runtime.server.refusal import RefusedError, invalid
from llm_runtime.server.rpc import Trailers

REPORT = ("report", b"busy")


class Parsed:
    """Stands for a message, which cannot be watched: it takes no weak references."""


class Call:
    """A call's context that keeps how the call ended, as gRPC's own does."""

    def __init__(self) -> None:
        self.ended: Exception | None = None
        self.code = grpc.StatusCode.OK
        self.trailers: Trailers = ()

    def set_trailing_metadata(self, trailers: Trailers) -> None:
        self.trailers = trailers

    async def abort(self, code: grpc.StatusCode, _: str, trailers: Trailers) -> NoReturn:
        self.code, self.trailers = code, trailers
        try:
            raise grpc.aio.AbortError(code)
        except grpc.aio.AbortError as error:
            self.ended = error
            raise


async def test_a_refused_message_does_not_wait_for_the_collector() -> None:
    async def refusing(request: Any, context: Any) -> None:
        raise invalid("text", "is wrong")

    guarded = CallInterceptor(1.0)._guard("/x/y", refusing)
    messages = [Parsed()]
    seen = weakref.ref(messages[0])
    call = Call()
    gc.disable()
    try:
        with pytest.raises(grpc.aio.AbortError):
            await guarded(cast(Any, messages.pop()), cast(Any, call))
        assert call.ended is not None
        assert seen() is None
    finally:
        gc.enable()


def reporting(longest: float = 10.0) -> CallInterceptor:
    """One whose calls end with a report."""
    return CallInterceptor(longest, endless={"/x/endless"}, trailers=lambda: (REPORT,))


async def test_a_call_that_was_answered_ends_with_the_trailers() -> None:
    async def answering(request: Any, context: Any) -> str:
        return "answer"

    call = Call()
    assert await reporting()._guard("/x/y", answering)(cast(Any, None), cast(Any, call)) == "answer"
    assert call.trailers == (REPORT,)


@pytest.mark.parametrize(
    ("error", "code", "hints"),
    [
        (
            RefusedError(grpc.StatusCode.UNAVAILABLE, "later", retry_after_ms=500),
            grpc.StatusCode.UNAVAILABLE,
            (("grpc-retry-pushback-ms", "500"), ("retry-after-ms", "500")),
        ),
        (invalid("text", "is wrong"), grpc.StatusCode.INVALID_ARGUMENT, ()),
        (ValueError("a bug"), grpc.StatusCode.INTERNAL, ()),
    ],
)
async def test_a_call_that_failed_ends_with_the_trailers_after_its_hints(
    error: Exception, code: grpc.StatusCode, hints: Trailers
) -> None:
    async def failing(request: Any, context: Any) -> None:
        raise error

    call = Call()
    with pytest.raises(grpc.aio.AbortError):
        await reporting()._guard("/x/y", failing)(cast(Any, None), cast(Any, call))
    assert (call.code, call.trailers) == (code, (*hints, REPORT))


async def test_a_call_that_was_cut_ends_with_the_trailers() -> None:
    async def hanging(request: Any, context: Any) -> None:
        await asyncio.Event().wait()

    call = Call()
    with pytest.raises(grpc.aio.AbortError):
        await reporting(0.0)._guard("/x/y", hanging)(cast(Any, None), cast(Any, call))
    assert (call.code, call.trailers) == (grpc.StatusCode.DEADLINE_EXCEEDED, (REPORT,))


async def test_an_endless_call_is_neither_cut_nor_waited_for() -> None:
    interceptor, begun, over = reporting(0.0), asyncio.Event(), asyncio.Event()

    async def lasting(request: Any, context: Any) -> None:
        begun.set()
        await over.wait()

    guarded = interceptor._guard("/x/endless", lasting)
    task = asyncio.ensure_future(guarded(cast(Any, None), cast(Any, Call())))
    await begun.wait()
    await asyncio.wait_for(interceptor.calls.over(), 1)
    over.set()
    await task
