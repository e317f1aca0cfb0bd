"""One call handed to one pod: bytes, metadata, deadline and cancel in both directions."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from llm_operator.activator import refusals
from llm_operator.activator.inbox import Inbox
from llm_operator.activator.metadata import Pairs, passed_on
from llm_operator.activator.pods import Pod
from llm_operator.activator.verdict import Status
from llm_operator.rpc import EOF, ClientCall, Context


@dataclass(slots=True)
class Incoming:
    """A client's call. `metadata` is what a pod gets of the client's."""

    method: str
    context: Context
    inbox: Inbox
    metadata: Pairs
    call: ClientCall | None = None
    """The call to a pod that goes on or was the last one."""

    def break_off(self) -> None:
        """Ends the call to the pod; the client's goes on."""
        if self.call is not None:
            self.call.cancel()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a pod's answer ended. is_untouched: no part of it has gone to the client, and the request
    is still here as a whole."""

    status: Status
    is_untouched: bool


async def attempt(incoming: Incoming, pod: Pod) -> Outcome:
    """Lets the pod answer. Ends with the pod's status, or with the client's cancel."""
    call: ClientCall = pod.open(incoming.method)(
        metadata=incoming.metadata, timeout=incoming.context.time_remaining()
    )
    incoming.call = call
    sending = asyncio.create_task(_send(incoming.inbox, call))
    try:
        is_begun = await _answer(incoming, call)
        is_untouched = not is_begun and incoming.inbox.is_whole
        return Outcome(await _status(call), is_untouched)
    except asyncio.CancelledError:
        if _is_cancelled():
            raise  # by the client
        return Outcome(refusals.BROKEN_OFF, is_untouched=False)
    finally:
        call.cancel()
        sending.cancel()
        await asyncio.wait({sending})


async def _send(inbox: Inbox, call: ClientCall) -> None:
    # Where a call is over before its request, the answer says why.
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await inbox.send(call)


async def _answer(incoming: Incoming, call: ClientCall) -> bool:
    """Passes the answer on, whatever its status; whether there was any of it."""
    context, is_begun = incoming.context, False
    read: Callable[[], Awaitable[Any]] = call.read
    try:
        metadata = passed_on(await call.initial_metadata())
        if metadata:
            is_begun = True
            incoming.inbox.release()
            await context.send_initial_metadata(metadata)
        while (message := await read()) is not EOF:
            if not is_begun:
                is_begun = True
                incoming.inbox.release()
            await context.write(message)
    except grpc.aio.AioRpcError:
        return is_begun  # `_status` has it
    return is_begun


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _status(call: ClientCall) -> Status:
    return Status(
        await call.code(), await call.details() or "", passed_on(await call.trailing_metadata())
    )
