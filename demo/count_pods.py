"""Counts the pods that answer, with nothing but gRPC: `python count_pods.py TARGET CALLS`.

GRPC_XDS_BOOTSTRAP_CONFIG in the environment tells gRPC where to ask about xds:/// targets.
"""

import json
import sys
from collections import Counter

import grpc

from llm_client.v1 import inference_pb2, inference_pb2_grpc


def main() -> None:
    """Asks so many times which model this is, and prints {pod: answers}."""
    target, calls = sys.argv[1], int(sys.argv[2])
    pods: Counter[str] = Counter()
    with grpc.insecure_channel(target) as channel:
        stub = inference_pb2_grpc.InferenceStub(channel)
        for _ in range(calls):
            _, call = stub.GetModelInfo.with_call(
                inference_pb2.GetModelInfoRequest(), wait_for_ready=True, timeout=30
            )
            pods[str(dict(call.trailing_metadata() or ())["llm-pod"])] += 1
    print(json.dumps(pods))


if __name__ == "__main__":
    main()
