"""llm.v1.Control: load, drain and undrain, for the operator."""

# ruff: noqa: N802, ARG002 - gRPC names the methods and their arguments

import grpc

from llm_client.v1 import control_pb2 as pb
from llm_client.v1 import control_pb2_grpc
from llm_runtime.engine.loop import Engine
from llm_runtime.server import lifecycle
from llm_runtime.server.lifecycle import NotNowError, Phase
from llm_runtime.server.load_feed import LoadFeed
from llm_runtime.server.refusal import RefusedError
from llm_runtime.server.rpc import Context
from llm_runtime.server.runner import Runner

_LONGEST_DRAIN_SECONDS = 86_400
_STATES = {
    Phase.STARTING: pb.LIFECYCLE_STATE_STARTING,
    Phase.SERVING: pb.LIFECYCLE_STATE_SERVING,
    Phase.LAME_DUCK: pb.LIFECYCLE_STATE_LAME_DUCK,
    Phase.DRAINING: pb.LIFECYCLE_STATE_DRAINING,
    Phase.DRAINED: pb.LIFECYCLE_STATE_DRAINED,
    Phase.FAILED: pb.LIFECYCLE_STATE_FAILED,
}


class ControlService(control_pb2_grpc.ControlServicer):
    """The control port's own service. Callers were authenticated before they get here."""

    def __init__(self, runner: Runner, feed: LoadFeed, drain_timeout: float) -> None:
        self._runner = runner
        self._feed = feed
        self._drain_timeout = drain_timeout

    async def GetLoad(self, request: pb.GetLoadRequest, context: Context) -> pb.GetLoadResponse:
        """Says how busy the pod is now."""
        return self._feed.read()

    async def WatchLoad(  # type: ignore[override]  # writes to the context, see interceptors
        self, request: pb.WatchLoadRequest, context: Context
    ) -> None:
        """Says how busy the pod is, again and again."""
        await self._feed.watch(context.write)

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        """Starts a drain and says which state that led to."""
        timeout = self._drain_timeout
        if request.HasField("timeout_seconds"):
            timeout = request.timeout_seconds
        if timeout > _LONGEST_DRAIN_SECONDS:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"timeout_seconds is {timeout}, at most {_LONGEST_DRAIN_SECONDS} are allowed",
            )
        return pb.DrainResponse(state=await self._wish(lifecycle.Drain(timeout)))

    async def Undrain(self, request: pb.UndrainRequest, context: Context) -> pb.UndrainResponse:
        """Takes a drain back."""
        return pb.UndrainResponse(state=await self._wish(lifecycle.Undrain()))

    async def _wish(self, event: lifecycle.Event) -> pb.LifecycleState.ValueType:
        try:
            return _STATES[await self._runner.post(event)]
        except NotNowError as error:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error


def load_message(engine: Engine, phase: Phase) -> pb.GetLoadResponse:
    """The load of the pod at this moment."""
    load, recent, shape = engine.load, engine.recent, engine.config.shape
    occupancy = engine.occupancy
    return pb.GetLoadResponse(
        running_requests=load.running,
        waiting_requests=load.waiting,
        tokens_held=load.tokens_held,
        prompt_tokens_queued=load.tokens_queued,
        capacity_tokens=shape.slots * shape.context,
        slots=shape.slots,
        tokens_per_second=recent.rates.tokens_per_second,
        step_seconds=recent.rates.step_seconds,
        state=_STATES[phase],
        time_to_first_token_p90_seconds=recent.first_token_p90,
        inter_token_latency_p90_seconds=recent.inter_token_p90,
        mean_prompt_tokens=recent.mean_prompt,
        mean_output_tokens=recent.mean_output,
        requests_received=engine.received,
        requests_cut_off=engine.cut_off,
        at_seconds=occupancy.at,
        request_seconds=occupancy.request_seconds,
    )
