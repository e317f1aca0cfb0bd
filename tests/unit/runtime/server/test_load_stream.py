"""When reports are sent, and how many are made. Time is looptime's."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, cast

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from xds.service.orca.v3.orca_pb2 import OrcaLoadReportRequest

from llm_runtime.server.load_report import METADATA_KEY
from llm_runtime.server.load_stream import LoadStream, pause

pytestmark = pytest.mark.looptime


class Reports:
    """Reports that are numbered in the order in which they are made."""

    def __init__(self) -> None:
        self.made = 0
        self.stream = LoadStream(self._make, lambda: asyncio.get_running_loop().time())

    def _make(self) -> bytes:
        self.made += 1
        return b"%d" % self.made


class Listener:
    """A client of a stream: what it heard, and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []

    async def write(self, message: bytes) -> None:
        self.heard.append((asyncio.get_running_loop().time(), message))

    @property
    def pauses(self) -> list[float]:
        times = [at for at, _ in self.heard]
        return [later - at for at, later in pairwise(times)]


@contextmanager
def listening(stream: LoadStream, seconds: float | None = None) -> Iterator[Listener]:
    listener = Listener()
    asked = None if seconds is None else Duration(seconds=int(seconds))
    request = OrcaLoadReportRequest(report_interval=asked)
    task = asyncio.create_task(stream.StreamCoreMetrics(request, cast(Any, listener)))
    yield listener
    task.cancel()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (Duration(), 1.0),
        (Duration(seconds=1), 1.0),
        (Duration(seconds=2, nanos=500_000_000), 2.5),
        (Duration(nanos=1), 1.0),
        (Duration(seconds=-10), 1.0),
        (Duration(seconds=315_576_000_000), 60.0),
    ],
)
def test_the_pause_is_what_was_asked_for_within_bounds(asked: Duration, seconds: float) -> None:
    assert pause(asked) == seconds


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_whatever_is_asked_for_the_pause_is_in_bounds(seconds: int, nanos: int) -> None:
    assert 1 <= pause(Duration(seconds=seconds, nanos=nanos)) <= 60


async def test_the_first_report_is_there_at_once_and_then_one_each_second() -> None:
    with listening(Reports().stream) as listener:
        await asyncio.sleep(0)
        assert [message for _, message in listener.heard] == [b"1"]
        await asyncio.sleep(60)
    assert all(1 <= seconds <= 1.1 for seconds in listener.pauses)
    assert 54 <= len(listener.heard) <= 61


async def test_a_client_that_asks_for_a_longer_pause_gets_it() -> None:
    with listening(Reports().stream, seconds=20) as listener:
        await asyncio.sleep(60)
    assert len(listener.pauses) == 2
    assert all(20 <= seconds <= 22 for seconds in listener.pauses)


async def test_streams_that_speak_together_share_a_report_and_do_not_stay_together() -> None:
    reports = Reports()
    with ExitStack() as streams:
        listeners = [streams.enter_context(listening(reports.stream)) for _ in range(500)]
        await asyncio.sleep(0)
        assert reports.made == 1
        await asyncio.sleep(60)
        last = {listener.heard[-1][0] for listener in listeners}
    assert max(last) - min(last) > 0.5
    assert reports.made <= 60 / 0.1 + 1


async def test_a_report_that_is_shared_is_not_old() -> None:
    reports = Reports()
    with listening(reports.stream) as first:
        await asyncio.sleep(0.2)
        with listening(reports.stream) as second:
            await asyncio.sleep(0)
    assert (first.heard[0][1], second.heard[0][1]) == (b"1", b"2")


async def test_the_end_of_a_call_tells_the_load_of_that_moment() -> None:
    stream = Reports().stream
    assert [stream.trailers() for _ in range(2)] == [
        ((METADATA_KEY, b"1"),),
        ((METADATA_KEY, b"2"),),
    ]
