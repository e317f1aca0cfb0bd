"""The client without an event loop, against a real server in another thread."""

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from llm_client import (
    FinishReason,
    OverloadedError,
    SyncClient,
    TimedOutError,
    UnavailableError,
    connect_sync,
)
from llm_client.sync_lines import SyncDirect
from llm_client.transport import CHANNEL_OPTIONS
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc

END = pb.FinishInfo(reason=pb.FINISH_REASON_STOP, num_output_tokens=2)


class Echo(inference_pb2_grpc.InferenceServicer):
    """Repeats the prompt; "full" finds no room, "forever" ends when it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:  # noqa: N802
        if request.text == "full":
            context.set_trailing_metadata((("retry-after-ms", "250"),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        said = request.text or request.chat.messages[-1].content
        return pb.GenerateResponse(text=said, finish_info=END)

    def GenerateStream(  # noqa: N802
        self, request: pb.GenerateRequest, context: Any
    ) -> Iterator[pb.GenerateResponse]:
        said = request.text or request.chat.messages[-1].content
        context.add_callback(self.cancelled.set)
        for word in said.split():
            yield pb.GenerateResponse(text=word)
        if said == "forever":
            self.cancelled.wait(30)
        yield pb.GenerateResponse(finish_info=END)

    def GetModelInfo(  # noqa: N802
        self,
        request: pb.GetModelInfoRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetModelInfoResponse:
        return pb.GetModelInfoResponse(model="echo")


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(echo: Echo) -> Iterator[grpc.Server]:
    made = grpc.server(futures.ThreadPoolExecutor(2))
    inference_pb2_grpc.add_InferenceServicer_to_server(echo, made)
    yield made
    made.stop(None).wait()


@pytest.fixture
def target(server: grpc.Server) -> str:
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return f"127.0.0.1:{port}"


def test_an_answer_comes_whole_or_in_pieces(target: str) -> None:
    with connect_sync(target) as client:
        assert client.generate("hello you").text == "hello you"
        assert client.chat("hello").finish.reason is FinishReason.STOP
        assert [chunk.text for chunk in client.stream("hello you")] == ["hello", "you", ""]
        assert [chunk.text for chunk in client.stream_chat("hi")] == ["hi", ""]
        assert client.model_info().model == "echo"


def test_a_refusal_is_an_error_of_the_client_with_the_hint(target: str) -> None:
    with connect_sync(target) as client, pytest.raises(OverloadedError) as caught:
        client.generate("full")
    assert caught.value.retry_after == 0.25


def test_leaving_a_stream_early_cancels_it(target: str, echo: Echo) -> None:
    with connect_sync(target) as client:
        stream = client.stream("forever")
        assert next(stream).text == "forever"
        stream.close()
        assert echo.cancelled.wait(10)
        assert client.generate("still here").text == "still here"


def test_an_address_where_nobody_answers_is_unavailable_and_named() -> None:
    with (
        connect_sync("127.0.0.1:1", timeout=0.3) as client,
        pytest.raises(UnavailableError, match=r"No connection to 127\.0\.0\.1:1"),
    ):
        client.generate("hello")


def test_a_deadline_of_a_running_answer_is_no_missing_connection_after_a_goaway(
    server: grpc.Server, target: str
) -> None:
    lost = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        if seen and state is not grpc.ChannelConnectivity.READY:
            lost.set()
        seen.append(state)

    seen: list[grpc.ChannelConnectivity] = []
    channel = grpc.insecure_channel(target, CHANNEL_OPTIONS)
    with SyncClient(SyncDirect(channel, "pod"), timeout=2) as client:
        stream = client.stream("forever")
        assert next(stream).text == "forever"
        channel.subscribe(note)
        server.stop(30)  # GOAWAY at once, the call may go on
        assert lost.wait(10)
        with pytest.raises(TimedOutError):
            next(stream)
