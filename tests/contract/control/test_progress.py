"""Asking an export pod for its progress over real gRPC."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.control.progress import Progress, ProgressClient
from llm_operator.control.token import TokenUnavailableError, read_token
from support.free_port import free_port


class Exporter(control_pb2_grpc.ExportProgressServicer):
    def __init__(self, answer: control_pb2.GetProgressResponse | None = None) -> None:
        self.answer = answer
        self.seen: list[str] = []

    async def GetProgress(  # noqa: N802  # gRPC's name
        self,
        request: control_pb2.GetProgressRequest,  # noqa: ARG002
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> control_pb2.GetProgressResponse:
        metadata = dict(context.invocation_metadata() or ())
        self.seen.append(str(metadata.get("authorization")))
        if self.answer is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
        assert self.answer is not None
        return self.answer


@pytest.fixture
async def exporter() -> AsyncIterator[tuple[Exporter, int]]:
    servicer, server = Exporter(), grpc.aio.server()
    control_pb2_grpc.add_ExportProgressServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, port
    await server.stop(None)


def a_client(port: int, token: str = "a-token") -> ProgressClient:  # noqa: S107
    return ProgressClient(lambda: token, port=port, seconds=0.5)


async def test_progress_is_asked_for_with_the_operators_token(
    exporter: tuple[Exporter, int],
) -> None:
    servicer, port = exporter
    servicer.answer = control_pb2.GetProgressResponse(
        step=control_pb2.EXPORT_STEP_FETCH, bytes_done=5, bytes_total=10, eta_seconds=3
    )
    assert await a_client(port).ask("127.0.0.1") == Progress("fetch", 5, 10, 3)
    assert servicer.seen == ["Bearer a-token"]


async def test_an_unknown_end_is_not_made_up(exporter: tuple[Exporter, int]) -> None:
    servicer, port = exporter
    servicer.answer = control_pb2.GetProgressResponse(step=control_pb2.EXPORT_STEP_EXPORT)
    assert await a_client(port).ask("127.0.0.1") == Progress("export", 0, 0, None)


async def test_a_refusal_is_no_progress(exporter: tuple[Exporter, int]) -> None:
    assert await a_client(exporter[1]).ask("127.0.0.1") is None


async def test_a_pod_that_does_not_listen_holds_nobody_up() -> None:
    started = time.monotonic()
    assert await a_client(free_port()).ask("127.0.0.1") is None
    assert time.monotonic() - started < 3


async def test_a_step_that_is_unknown_is_no_progress(exporter: tuple[Exporter, int]) -> None:
    servicer, port = exporter
    servicer.answer = control_pb2.GetProgressResponse(bytes_done=1)
    assert await a_client(port).ask("127.0.0.1") is None


async def test_without_a_token_nobody_is_asked(
    exporter: tuple[Exporter, int], tmp_path: Path
) -> None:
    servicer, port = exporter
    client = ProgressClient(lambda: read_token(str(tmp_path / "absent")), port=port)
    assert await client.ask("127.0.0.1") is None
    assert servicer.seen == []


def test_the_token_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    assert read_token(str(path)) == "first"
    path.write_text("second\n")
    assert read_token(str(path)) == "second"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_token_that_cannot_be_used_is_never_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(TokenUnavailableError, match=str(path)):
        read_token(str(path))
