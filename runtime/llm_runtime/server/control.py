"""llm.v1.Control: load, drain and undrain, for the operator."""

# ruff: noqa: N802, ARG002 - gRPC names the methods and their arguments

import grpc

from llm_client.v1 import control_pb2 as pb
from llm_client.v1 import control_pb2_grpc
from llm_runtime.engine.loop import Engine
from llm_runtime.server import lifecycle
from llm_runtime.server.lifecycle import NotNowError, Phase
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

    def __init__(self, engine: Engine, runner: Runner, drain_timeout: float) -> None:
        self._engine = engine
        self._runner = runner
        self._drain_timeout = drain_timeout

    async def GetLoad(self, request: pb.GetLoadRequest, context: Context) -> pb.GetLoadResponse:
        """Says how busy the pod is now."""
        load, rates, shape = self._engine.load, self._engine.rates, self._engine.config.shape
        return pb.GetLoadResponse(
            running_requests=load.running,
            waiting_requests=load.waiting,
            tokens_held=load.tokens_held,
            prompt_tokens_queued=load.tokens_queued,
            capacity_tokens=shape.slots * shape.context,
            slots=shape.slots,
            tokens_per_second=rates.tokens_per_second,
            step_seconds=rates.step_seconds,
            state=_STATES[self._runner.phase],
        )

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
