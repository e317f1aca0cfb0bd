"""Asks an export pod how far it is. No answer is an answer: the status then shows no progress."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_operator.control.channel import CONTROL_PORT, authorization, channel_to
from llm_operator.control.token import TokenUnavailableError

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""A reconcile waits no longer: the export itself goes on whether we look or not."""

STEPS = {
    control_pb2.EXPORT_STEP_FETCH: "fetch",
    control_pb2.EXPORT_STEP_EXPORT: "export",
    control_pb2.EXPORT_STEP_VERIFY: "verify",
    control_pb2.EXPORT_STEP_PUSH: "push",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """`step` is fetch, export, verify or push; `bytes_total` is 0 while unknown."""

    step: str
    bytes_done: int
    bytes_total: int
    eta_seconds: int | None


@dataclass(frozen=True, slots=True)
class ProgressClient:
    """`token` gives the bearer token of the moment; `port` differs in tests only."""

    token: Callable[[], str]
    port: int = CONTROL_PORT
    seconds: float = ANSWER_SECONDS

    async def ask(self, address: str) -> Progress | None:
        """Progress of the export pod with this IP; None when it does not answer in time."""
        try:
            metadata = authorization(self.token())
            async with channel_to(address, self.port) as channel:
                stub = control_pb2_grpc.ExportProgressStub(channel)
                answer = await stub.GetProgress(
                    control_pb2.GetProgressRequest(), timeout=self.seconds, metadata=metadata
                )
        except grpc.aio.AioRpcError as error:
            logger.debug("Export pod gave no progress", extra={"code": error.code().name})
            return None
        except TokenUnavailableError as error:
            logger.warning("Control token cannot be read", extra={"error": str(error)})
            return None
        return _progress(answer)


def _progress(answer: control_pb2.GetProgressResponse) -> Progress | None:
    if answer.step not in STEPS:
        return None
    eta = answer.eta_seconds if answer.HasField("eta_seconds") else None
    return Progress(STEPS[answer.step], answer.bytes_done, answer.bytes_total, eta)
