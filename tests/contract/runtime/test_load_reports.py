"""Load reports to clients (ORCA): a stream beside the calls, and the end of every call.

grpcio reads the report at the end of a call and shows it to nobody: what its weighted_round_robin
makes of it is what can be seen.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from xds.data.orca.v3.orca_load_report_pb2 import OrcaLoadReport
from xds.service.orca.v3.orca_pb2 import OrcaLoadReportRequest

from llm_client import Options, OverloadedError, connect
from llm_client.v1 import control_pb2, inference_pb2_grpc
from llm_client.v1 import inference_pb2 as pb
from llm_runtime.server.lifecycle import Phase
from llm_runtime.server.load_stream import LoadStream
from support.runtime_pod import Operator, Pod, eventually, running_pod

METHOD = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
IDLE = 0.01
SHORT = Options(max_new_tokens=3, ignore_eos=True)
LONG = Options(max_new_tokens=400, ignore_eos=True)
STREAMS_PER_CONNECTION = 100  # the server allows 128
Reports = grpc.aio.UnaryStreamCall[Any, Any]


def listen(channel: grpc.aio.Channel, asked: Duration | None = None) -> Reports:
    method: Any = channel.unary_stream(
        METHOD,
        request_serializer=OrcaLoadReportRequest.SerializeToString,
        response_deserializer=OrcaLoadReport.FromString,
    )
    stream: Reports = method(OrcaLoadReportRequest(report_interval=asked))
    return stream


async def after(stream: Reports) -> float:
    """The utilization that the next report tells."""
    async with asyncio.timeout(10):
        report = await stream.read()
    assert isinstance(report, OrcaLoadReport), "the stream ended"
    assert report.rps_fractional == 100
    return float(report.application_utilization)


async def code_at_the_end(stream: Reports) -> grpc.StatusCode:
    """Reads the rest."""
    async with asyncio.timeout(10):
        with suppress(grpc.aio.AioRpcError):
            while isinstance(await stream.read(), OrcaLoadReport):
                pass
        return await stream.code()


@asynccontextmanager
async def listened(artifact: Path, **settings: Any) -> AsyncIterator[tuple[Pod, Reports]]:
    """A pod, and a stream whose first report was read."""
    async with (
        running_pod(artifact, **settings) as pod,
        grpc.aio.insecure_channel(pod.target) as channel,
    ):
        stream = listen(channel)
        assert await after(stream) == IDLE
        yield pod, stream


@asynccontextmanager
async def balancing(
    *pods: Pod, oob: bool
) -> AsyncIterator["inference_pb2_grpc.InferenceAsyncStub"]:
    """A client with gRPC's own weighted_round_robin, on weights from streams or from calls."""
    policy: dict[str, Any] = {"blackoutPeriod": "0s", "weightUpdatePeriod": "0.1s"}
    if oob:
        policy |= {"enableOobLoadReport": True, "oobReportingPeriod": "1s"}
    config = {"loadBalancingConfig": [{"weighted_round_robin": policy}]}
    options = [("grpc.service_config", json.dumps(config)), ("grpc.use_local_subchannel_pool", 1)]
    target = "ipv4:" + ",".join(pod.target for pod in pods)
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield inference_pb2_grpc.InferenceStub(channel)


@asynccontextmanager
async def full_pod(artifact: Path) -> AsyncIterator[Pod]:
    """A pod whose only slot is taken and that lets nobody wait."""
    async with (
        running_pod(artifact, max_concurrent_sequences=1, max_queue=0) as pod,
        connect(pod.target) as client,
    ):
        pod.gate.hold()
        running = asyncio.create_task(client.generate("q", LONG))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        yield pod
        pod.gate.let_go()
        await running


async def outcomes(
    calls: "inference_pb2_grpc.InferenceAsyncStub", request: pb.GenerateRequest, number: int
) -> Counter[str]:
    """How so many calls end, one after the other."""
    counted: Counter[str] = Counter()
    for _ in range(number):
        code = await calls.Generate(request, wait_for_ready=True).code()
        counted[code.name] += 1
    return counted


@pytest.mark.timeout(30)
async def test_reports_follow_the_load(artifact: Path) -> None:
    async with listened(artifact) as (pod, stream), connect(pod.target) as client:
        pod.gate.hold()
        answer = asyncio.create_task(client.generate([5] * 20, SHORT))
        await pod.until_load(lambda load: load.running + load.waiting == 1)
        while await after(stream) < 1 / 16:
            pass
        pod.gate.let_go()
        await answer
        while await after(stream) != IDLE:
            pass


@pytest.mark.parametrize(
    "asked",
    [None, Duration(seconds=-5), Duration(nanos=-1), Duration(seconds=2**63 - 1)],
    ids=["none", "negative", "a bit negative", "endless"],
)
async def test_whatever_interval_is_asked_for_the_first_report_is_there_at_once(
    artifact: Path, asked: Duration | None
) -> None:
    async with (
        running_pod(artifact) as pod,
        grpc.aio.insecure_channel(pod.target) as channel,
    ):
        assert await after(listen(channel, asked)) == IDLE


async def test_hundreds_who_listen_leave_all_room_to_requests(artifact: Path) -> None:
    async with (
        running_pod(artifact, max_concurrent_sequences=2, max_queue=2) as pod,
        connect(pod.target) as client,
    ):
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(pod.target, options=own) for _ in range(5)]
        streams = [listen(each) for each in channels for _ in range(STREAMS_PER_CONNECTION)]
        await asyncio.gather(*(after(stream) for stream in streams))
        pod.gate.hold()
        served = [asyncio.create_task(client.generate(f"q{index}", SHORT)) for index in range(4)]
        await pod.until_load(lambda load: load.running + load.waiting == 4)
        with pytest.raises(OverloadedError, match="queue is full"):
            await client.generate("one too many", SHORT)
        pod.gate.let_go()
        assert [(await answer).finish.output_tokens for answer in served] == [3] * 4
        await asyncio.gather(*(after(stream) for stream in streams))
        await asyncio.gather(*(channel.close(None) for channel in channels))


async def test_those_who_listen_are_bounded_and_a_place_is_free_again_when_one_leaves(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_runtime.server.app._LISTENERS", 3)
    async with (
        listened(artifact) as (pod, first),
        grpc.aio.insecure_channel(pod.target) as channel,
        connect(pod.target) as client,
    ):
        others = [listen(channel) for _ in range(2)]
        await asyncio.gather(*(after(stream) for stream in others))
        for _ in range(200):
            refused = listen(channel)
            assert await code_at_the_end(refused) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await client.generate("hello", SHORT)).finish.output_tokens == 3
        first.cancel()

        async def has_a_place() -> bool:
            with suppress(grpc.aio.AioRpcError):
                return isinstance(await listen(channel).read(), OrcaLoadReport)
            return False

        await eventually(has_a_place)


async def test_a_drain_does_not_wait_for_those_who_listen(
    artifact: Path, operator: Operator
) -> None:
    async with listened(artifact, control_auth_file=operator.file, lame_duck_seconds=1.5) as (
        pod,
        stream,
    ):
        request = control_pb2.DrainRequest(timeout_seconds=300)
        await pod.control.Drain(request, metadata=operator.metadata())
        assert await after(stream) == IDLE, "a pod that still takes calls still reports"
        await code_at_the_end(stream)
        async with asyncio.timeout(10):  # the drain's own limit is 300 s
            await eventually(lambda: pod.app.runner.phase is Phase.DRAINED)


async def test_a_client_that_balances_moves_its_stream_to_a_new_connection_when_one_has_aged(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, open_now = [], set()
    serve = LoadStream.StreamCoreMetrics

    async def counted(self: LoadStream, request: Any, context: Any) -> None:
        begun.append(context.peer())
        open_now.add(context)
        try:
            await serve(self, request, context)
        finally:
            open_now.discard(context)

    monkeypatch.setattr(LoadStream, "StreamCoreMetrics", counted)
    async with (
        running_pod(artifact, max_connection_age_seconds=0.5) as pod,
        balancing(pod, oob=True) as calls,
    ):
        async with asyncio.timeout(30):
            while len(set(begun)) < 4:
                await calls.GetModelInfo(pb.GetModelInfoRequest(), wait_for_ready=True)
                await asyncio.sleep(0.05)
        await eventually(lambda: len(open_now) == 1)


async def test_a_stream_ends_with_the_grace_of_its_aged_connection_where_the_client_keeps_it(
    artifact: Path,
) -> None:
    async with listened(artifact, max_connection_age_seconds=0.3, request_timeout_seconds=1) as (
        _,
        stream,
    ):
        assert await code_at_the_end(stream) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("oob", [True, False], ids=["by streams", "by calls"])
async def test_grpcs_own_clients_send_calls_to_the_pod_with_less_to_do(
    artifact: Path, oob: bool
) -> None:
    async with (
        running_pod(artifact, model_name="busy") as busy,
        running_pod(artifact, model_name="idle") as idle,
        connect(busy.target) as client,
        balancing(busy, idle, oob=oob) as calls,
    ):
        busy.gate.hold()
        running = [asyncio.create_task(client.generate("q", LONG)) for _ in range(8)]
        await busy.until_load(lambda load: load.running + load.waiting == 8)

        async def answering(number: int) -> Counter[str]:
            answers = [
                await calls.GetModelInfo(pb.GetModelInfoRequest(), wait_for_ready=True)
                for _ in range(number)
            ]
            return Counter(answer.model for answer in answers)

        async def is_uneven() -> bool:
            return (await answering(30))["idle"] >= 25

        await eventually(is_uneven)
        busy.gate.let_go()
        await asyncio.gather(*running)


@pytest.mark.parametrize("spare", [128, 0], ids=["for want of a slot", "for want of a place"])
async def test_a_full_pod_that_refuses_fast_attracts_no_calls(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    request = pb.GenerateRequest(text="hello", stopping=pb.Stopping(max_new_tokens=2))
    async with running_pod(artifact) as idle:
        monkeypatch.setattr("llm_runtime.server.app._SPARE_CALLS", spare)
        async with full_pod(artifact) as full, balancing(full, idle, oob=False) as calls:
            assert (await outcomes(calls, request, 20))["RESOURCE_EXHAUSTED"] > 0

            async def is_avoided() -> bool:
                return (await outcomes(calls, request, 30))["OK"] >= 25

            await eventually(is_avoided)


async def test_every_call_says_which_pod_has_answered(artifact: Path) -> None:
    async with (
        running_pod(artifact, pod_name="demo-7") as pod,
        grpc.aio.insecure_channel(pod.target) as channel,
    ):
        call = inference_pb2_grpc.InferenceStub(channel).GetModelInfo(pb.GetModelInfoRequest())
        await call
        assert dict(await call.trailing_metadata())["llm-pod"] == "demo-7"
