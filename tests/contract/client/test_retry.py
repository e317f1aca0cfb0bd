"""What the client does about pods that go away, against servers that fail on purpose."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from llm_client import Client, OverloadedError, TimedOutError, UnavailableError, connect
from llm_client.lines import Direct
from llm_client.transport import CHANNEL_OPTIONS
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc

Context = Any


class Scripted(inference_pb2_grpc.InferenceServicer):
    """Follows a script: one function per call, the last one for all that follow."""

    Generate = GetModelInfo = None  # type: ignore[assignment]  # never called here

    def __init__(self, *script: Callable[[Context], Any]) -> None:
        self._script = list(script)
        self.calls = 0

    async def GenerateStream(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.GenerateRequest,  # noqa: ARG002
        context: Context,
    ) -> None:
        self.calls += 1
        await (self._script.pop(0) if len(self._script) > 1 else self._script[0])(context)


async def answers(context: Context) -> None:
    await context.write(pb.GenerateResponse(text="Hello"))
    await context.write(
        pb.GenerateResponse(text=" you", finish_info=pb.FinishInfo(num_output_tokens=2))
    )


async def refuses(context: Context) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")


async def shuts_down(context: Context) -> None:
    """What a gRPC server says to a call that arrives together with its GOAWAY."""
    await context.abort(grpc.StatusCode.CANCELLED, "")


async def breaks_off(context: Context) -> None:
    await context.write(pb.GenerateResponse(text="Hel"))
    await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def is_full(context: Context) -> None:
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", (("retry-after-ms", "700"),))


@asynccontextmanager
async def serving(servicer: Scripted, port: int = 0) -> AsyncIterator[int]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    inference_pb2_grpc.add_InferenceServicer_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(None)


async def ask(target: str, timeout: float = 20) -> str:  # noqa: ASYNC109
    async with connect(target, timeout=timeout) as client:
        return "".join([chunk.text async for chunk in client.stream("hi")])


async def test_a_pod_on_its_way_out_is_tried_again_before_the_first_message() -> None:
    servicer = Scripted(refuses, refuses, answers)
    async with serving(servicer) as port:
        assert await ask(f"127.0.0.1:{port}") == "Hello you"
    assert servicer.calls == 3


async def test_a_call_that_arrived_with_the_goaway_is_tried_again() -> None:
    servicer = Scripted(shuts_down, answers)
    async with serving(servicer) as port:
        assert await ask(f"127.0.0.1:{port}") == "Hello you"
    assert servicer.calls == 2


async def test_an_answer_that_broke_off_is_never_begun_again() -> None:
    servicer = Scripted(breaks_off, answers)
    async with serving(servicer) as port:
        with pytest.raises(UnavailableError, match="gone"):
            await ask(f"127.0.0.1:{port}")
    assert servicer.calls == 1


async def test_a_full_queue_is_the_callers_decision() -> None:
    servicer = Scripted(is_full)
    async with serving(servicer) as port:
        with pytest.raises(OverloadedError) as caught:
            await ask(f"127.0.0.1:{port}")
    assert caught.value.retry_after == 0.7
    assert servicer.calls == 1


async def test_a_client_that_comes_before_its_server_waits_for_it() -> None:
    async with serving(Scripted(answers)) as port:
        pass
    waiting = asyncio.create_task(ask(f"127.0.0.1:{port}"))
    async with serving(Scripted(answers), port):
        assert await waiting == "Hello you"


async def test_one_channel_goes_on_with_the_successor_of_a_stopped_server() -> None:
    async with serving(Scripted(answers)) as port:
        client = connect(f"127.0.0.1:{port}", timeout=20)
        assert [chunk.text async for chunk in client.stream("hi")] == ["Hello", " you"]
    async with serving(Scripted(answers), port):
        assert [chunk.text async for chunk in client.stream("hi")] == ["Hello", " you"]
    await client.close()


async def test_an_address_where_nobody_answers_is_unavailable_and_named() -> None:
    async with serving(Scripted(answers)) as port:
        pass
    with pytest.raises(UnavailableError, match=f"No connection to 127.0.0.1:{port}"):
        await ask(f"127.0.0.1:{port}", timeout=0.5)


class Endless(inference_pb2_grpc.InferenceServicer):
    """Begins streams and never ends anything."""

    GetModelInfo = None  # type: ignore[assignment]  # never called here

    def __init__(self) -> None:
        self.called = asyncio.Event()

    async def Generate(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.GenerateRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> None:
        self.called.set()
        await asyncio.Event().wait()

    async def GenerateStream(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.GenerateRequest,  # noqa: ARG002
        context: Context,
    ) -> None:
        await context.write(pb.GenerateResponse(text="Hel"))
        self.called.set()
        await asyncio.Event().wait()


async def whole(client: Client) -> None:
    await client.generate("hi")


async def streamed(client: Client) -> None:
    async for _ in client.stream("hi"):
        pass


@pytest.mark.parametrize("ask_for", [whole, streamed])
async def test_a_deadline_of_a_running_answer_is_no_missing_connection_after_a_goaway(
    ask_for: Callable[[Client], Coroutine[Any, Any, None]],
) -> None:
    servicer = Endless()
    server = grpc.aio.server()
    inference_pb2_grpc.add_InferenceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", CHANNEL_OPTIONS)
    async with Client(Direct(channel, "pod"), timeout=2) as client:
        running = asyncio.create_task(ask_for(client))
        await servicer.called.wait()
        stopping = asyncio.create_task(server.stop(30))  # GOAWAY at once, the call may go on
        await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        with pytest.raises(TimedOutError):
            await running
    await stopping
