"""Asks a runtime pod to drain, or takes that back. A pod that does not answer is no error: what it
does is seen in its load, and the next run asks again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.control.channel import CONTROL_PORT, authorization, channel_to
from llm_operator.control.token import TokenUnavailableError

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DrainClient:
    """`token` gives the bearer token of the moment; `port` differs in tests only."""

    token: Callable[[], str]
    port: int = CONTROL_PORT
    seconds: float = ANSWER_SECONDS

    async def drain(self, address: str, timeout_seconds: int) -> bool:
        """Starts a drain that gives running generations so long. Whether the pod took it."""
        request = control_pb2.DrainRequest(timeout_seconds=timeout_seconds)
        return await self._ask(address, lambda stub, **call: stub.Drain(request, **call))

    async def undrain(self, address: str) -> bool:
        """Takes a drain back. Whether the pod took it."""
        request = control_pb2.UndrainRequest()
        return await self._ask(address, lambda stub, **call: stub.Undrain(request, **call))

    async def _ask(self, address: str, ask: Callable[..., Any]) -> bool:
        try:
            metadata = authorization(self.token())
            async with channel_to(address, self.port) as channel:
                stub = control_pb2_grpc.ControlStub(channel)
                await ask(stub, timeout=self.seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            logger.warning("Pod did not take a drain or undrain", extra={"code": error.code().name})
            return False
        except TokenUnavailableError as error:
            logger.warning("Control token cannot be read", extra={"error": str(error)})
            return False
        return True
