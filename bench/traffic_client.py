"""An unmodified gRPC client in a pod of the cluster: which pods answer, and how fast.

`python - count TARGET CALLS`, `python - follow TARGET SECONDS` and
`python - compare TARGET OTHER CALLS` print JSON lines. `GRPC_XDS_BOOTSTRAP_CONFIG` in the
environment names the control plane of xds:/// targets. Needs grpcio and the stubs of the llm.v1
contract, nothing else of the project.
"""

import json
import sys
import time
from collections import Counter
from statistics import median

import grpc

from llm_client.v1 import inference_pb2, inference_pb2_grpc

BUCKET_SECONDS = 0.1
PAUSE_SECONDS = 0.002
TIMEOUT_SECONDS = 30.0
REQUEST = inference_pb2.GetModelInfoRequest()


def stub(target: str) -> inference_pb2_grpc.InferenceStub:
    """A channel of its own to the target."""
    return inference_pb2_grpc.InferenceStub(grpc.insecure_channel(target))


def ask(inference: inference_pb2_grpc.InferenceStub, *, waits: bool = False) -> str:
    """The pod that has answered, or the code of the error."""
    try:
        _, call = inference.GetModelInfo.with_call(
            REQUEST, timeout=TIMEOUT_SECONDS, wait_for_ready=waits
        )
    except grpc.RpcError as error:
        return f"error {error.code().name}"
    return str(dict(call.trailing_metadata() or ()).get("llm-pod", "unknown"))


def count(target: str, calls: int) -> None:
    """So many calls, one after the other."""
    inference = stub(target)
    ask(inference, waits=True)
    tell(Counter(ask(inference) for _ in range(calls)))


def follow(target: str, seconds: float) -> None:
    """Calls without end, told ten times a second."""
    inference, ends = stub(target), time.time() + seconds
    ask(inference, waits=True)
    while time.time() < ends:
        until, answers = time.time() + BUCKET_SECONDS, Counter[str]()
        while time.time() < until:
            answers[ask(inference)] += 1
            time.sleep(PAUSE_SECONDS)
        tell(answers)


def compare(target: str, other: str, calls: int) -> None:
    """Medians of the seconds of a call, in turns over both."""
    ways = (stub(target), stub(other))
    times: tuple[list[float], list[float]] = ([], [])
    for inference in ways:
        for _ in range(100):
            ask(inference, waits=True)
    for _ in range(calls):
        for inference, taken in zip(ways, times, strict=True):
            began = time.perf_counter()
            ask(inference)
            taken.append(time.perf_counter() - began)
    print(json.dumps({"medians": [median(taken) for taken in times]}), flush=True)


def tell(answers: "Counter[str]") -> None:
    """One line; `at` is seconds since the epoch."""
    print(json.dumps({"at": time.time(), "answers": answers}), flush=True)


def main() -> None:
    """Does what the arguments say."""
    match sys.argv[1:]:
        case ["count", target, calls]:
            count(target, int(calls))
        case ["follow", target, seconds]:
            follow(target, float(seconds))
        case ["compare", target, other, calls]:
            compare(target, other, int(calls))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
