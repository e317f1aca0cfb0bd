"""What a thousand idle LLMDeployments cost the leader: one open load stream to a pod of each.

A process of its own plays the pods: every loopback address is a pod, every stream says the same
again each five seconds, as a runtime pod does. Measured is the CPU time of this process, which
listens and asks the autoscaler as the operator does.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from rich.console import Console

from bench import figures, processor
from bench.figures import Figure
from llm_client.v1 import control_pb2
from llm_operator.api.llmdeployment import AutoscalingSpec
from llm_operator.autoscale.loop import Autoscaler, Subject
from llm_operator.autoscale.observation import Limits
from llm_operator.autoscale.reading import Standing
from llm_operator.autoscale.signals import PodLoad
from llm_operator.control.channel import Endpoint
from llm_operator.control.loads import Held, Loads
from llm_operator.kube.store import Key

PODS = 1000
PERIOD_SECONDS = 5.0
MEASURED_SECONDS = 30.0
_SETTLING_SECONDS = 60.0
_SERVE = "--serve-pods"


async def _idle(
    request: control_pb2.WatchLoadRequest, context: Any
) -> AsyncIterator[control_pb2.GetLoadResponse]:
    """`Control.WatchLoad` of a pod that nobody asks anything."""
    del request, context
    while True:
        yield control_pb2.GetLoadResponse(
            slots=4, capacity_tokens=4096, state=control_pb2.LIFECYCLE_STATE_SERVING
        )
        await asyncio.sleep(PERIOD_SECONDS)


async def _serve_pods() -> None:
    """Listens on every loopback address, says on which port, and ends with its standard input."""
    server = grpc.aio.server()
    watch_load = grpc.unary_stream_rpc_method_handler(
        _idle,
        request_deserializer=control_pb2.WatchLoadRequest.FromString,
        response_serializer=control_pb2.GetLoadResponse.SerializeToString,
    )
    service = "llm.v1.Control"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"WatchLoad": watch_load}),)
    )
    port = server.add_insecure_port("0.0.0.0:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of the leader per second, in percent of a core, and messages it heard per second."""

    percent: float
    messages: float


async def listen(port: int) -> Cost:
    """Follows the pods until each has spoken, then measures. Raises TimeoutError."""
    heard = 0
    loads: Loads

    def changed(key: Key, before: PodLoad | None, after: PodLoad | None) -> None:
        nonlocal heard
        heard += 1
        autoscaler.heard(key, before, after)

    loads = Loads(token=lambda: "token", changed=changed, port=port)
    held = Held(token=lambda: "token", changed=lambda _: None, port=port)
    keys = [Key("bench", f"idle-{number}") for number in range(PODS)]
    pods = {key: [_pod(str(key))] for key in keys}
    autoscaler = Autoscaler(
        loads=loads, held=held, runtime_pods=pods.__getitem__, wake=lambda _: None, now=time.time
    )
    subject = Subject(
        AutoscalingSpec(max_replicas=4),
        Limits(capacity_timeout=900.0),
        Standing(current=1, replicas=1),
    )
    for number, key in enumerate(keys):
        loads.follow(key, [Endpoint(str(key), f"127.1.{number // 250}.{number % 250 + 1}")])
        autoscaler.decide(key, subject)
    try:
        async with asyncio.timeout(_SETTLING_SECONDS):
            while not all(loads.of(key) for key in keys):  # noqa: ASYNC110  # a state of all
                await asyncio.sleep(0.2)
        before, cpu = heard, time.process_time()
        await asyncio.sleep(MEASURED_SECONDS)
        used = time.process_time() - cpu
        return Cost(100 * used / MEASURED_SECONDS, (heard - before) / MEASURED_SECONDS)
    finally:
        autoscaler.reset()
        await loads.aclose()


def _pod(uid: str) -> dict[str, Any]:
    """A ready pod, as the operator keeps it."""
    return {
        "metadata": {"uid": uid, "name": uid, "creationTimestamp": "2027-01-01T00:00:00Z"},
        "spec": {"nodeName": "node1"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@contextmanager
def _pods() -> Iterator[int]:
    """The pods' process; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.idle_fleet", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline() if process.stdout else 0)
    finally:
        process.communicate(timeout=30)


def measure() -> Iterator[Figure]:
    """The leader's share of a core."""
    with _pods() as port, processor.watched() as idle:
        cost = asyncio.run(listen(port))
    name = f"load streams of {PODS} idle deployments"
    yield Figure(f"{name}: CPU", cost.percent, "% of a core", 5)
    yield Figure(f"{name}: messages heard", cost.messages, "1/s", better="higher")
    yield Figure(f"{name}: idle CPU", idle.percent, "%", processor.IDLE_LIMIT_PERCENT, "higher")


def main() -> None:
    """Measures and writes build/bench/idle_fleet.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(_SERVE, action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().serve_pods:
        asyncio.run(_serve_pods())
        return
    measured = list(measure())
    figures.show("Idle deployments", measured, Console())
    figures.write("idle_fleet", measured)


if __name__ == "__main__":
    main()
