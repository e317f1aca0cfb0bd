"""How far an export is, for the operator: ExportProgress on the control port, authenticated."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc

from llm_client.v1 import control_pb2, control_pb2_grpc
from llm_runtime.model.progress import SharedProgress, Step
from llm_runtime.server.auth import AuthInterceptor, TokenVerifier

log = logging.getLogger(__name__)

_THREADS = 2
_GRACE_SECONDS = 1.0
_STEPS = {
    None: control_pb2.EXPORT_STEP_UNSPECIFIED,
    Step.FETCH: control_pb2.EXPORT_STEP_FETCH,
    Step.EXPORT: control_pb2.EXPORT_STEP_EXPORT,
    Step.VERIFY: control_pb2.EXPORT_STEP_VERIFY,
    Step.PUSH: control_pb2.EXPORT_STEP_PUSH,
}


class _Service(control_pb2_grpc.ExportProgressServicer):
    def __init__(self, progress: SharedProgress) -> None:
        self._progress = progress

    def GetProgress(  # noqa: N802 - named by the contract
        self,
        request: control_pb2.GetProgressRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> control_pb2.GetProgressResponse:
        """The progress at this moment."""
        report = self._progress.report()
        return control_pb2.GetProgressResponse(
            step=_STEPS[report.step],
            bytes_done=report.done,
            bytes_total=report.total,
            eta_seconds=report.eta_seconds,
        )


@contextmanager
def serving_progress(
    progress: SharedProgress, port: int | None, control_auth: Path | None
) -> Iterator[int | None]:
    """Answers on ``port`` (0 takes a free one) while the block runs; yields the bound port.

    Nobody has to ask: without a port, or when it is taken, the work goes on all the same.
    """
    server = None if port is None else _start(progress, port, control_auth)
    if server is None:
        yield None
        return
    try:
        yield server[1]
    finally:
        server[0].stop(_GRACE_SECONDS).wait()


def _start(
    progress: SharedProgress, port: int, control_auth: Path | None
) -> tuple[grpc.Server, int] | None:
    server = grpc.server(
        ThreadPoolExecutor(_THREADS, thread_name_prefix="progress"),
        interceptors=[AuthInterceptor(TokenVerifier(control_auth))],
        options=[("grpc.so_reuseport", 0)],
    )
    control_pb2_grpc.add_ExportProgressServicer_to_server(_Service(progress), server)
    try:
        bound = server.add_insecure_port(f"[::]:{port}")
    except RuntimeError:
        log.warning("Progress is not served: port %d is taken", port)
        return None
    server.start()
    return server, bound
