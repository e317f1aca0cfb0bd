"""A server of the contract that says which one it is, for tests of who is called."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc

END = pb.FinishInfo(reason=pb.FINISH_REASON_STOP, num_output_tokens=1)


class NamedPod(inference_pb2_grpc.InferenceServicer):
    """Answers with its name. The prompt "hold" is answered in two pieces, the second one after
    `release`; "refuse" is not taken.

    address: its HOST:PORT. calls: how often each method was called. prefixes: the keys that came
    with the calls.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = ""
        self.calls = Counter[str]()
        self.prefixes: list[str] = []
        self.held = threading.Event()
        self.release = threading.Event()

    def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:  # noqa: N802
        self._note("Generate", context)
        if request.text == "refuse":
            context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return pb.GenerateResponse(text=self.name, finish_info=END)

    def GenerateStream(  # noqa: N802
        self, request: pb.GenerateRequest, context: Any
    ) -> Iterator[pb.GenerateResponse]:
        self._note("GenerateStream", context)
        yield pb.GenerateResponse(text=self.name)
        if request.text == "hold":
            self.held.set()
            self.release.wait(30)
        yield pb.GenerateResponse(text="!", finish_info=END)

    def GetModelInfo(  # noqa: N802
        self,
        request: pb.GetModelInfoRequest,  # noqa: ARG002
        context: Any,
    ) -> pb.GetModelInfoResponse:
        self._note("GetModelInfo", context)
        return pb.GetModelInfoResponse(model=self.name)

    def _note(self, method: str, context: Any) -> None:
        self.calls[method] += 1
        self.prefixes.extend(v for k, v in context.invocation_metadata() if k == "llm-prefix-key")


@contextmanager
def named_pod(name: str, port: int = 0) -> Iterator[NamedPod]:
    """Serves on loopback while the block runs; `port` 0 takes any free one."""
    pod = NamedPod(name)
    with futures.ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        inference_pb2_grpc.add_InferenceServicer_to_server(pod, server)
        pod.address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
        server.start()
        try:
            yield pod
        finally:
            pod.release.set()
            server.stop(None).wait()
