import gc
import weakref
from typing import Any, NoReturn, cast

import grpc
import pytest

from llm_runtime.server.interceptors import CallInterceptor
from llm_runtime.server.refusal import invalid


class Parsed:
    """Stands for a message, which cannot be watched: it takes no weak references."""


class Call:
    """A call's context that keeps how the call ended, as gRPC's own does."""

    def __init__(self) -> None:
        self.ended: Exception | None = None

    async def abort(self, code: grpc.StatusCode, *_: object) -> NoReturn:
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
