"""Calls from outside, through a real Gateway: shared as the rollout says, as long as they last, and
while there is no pod."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
import yaml
from demo import autoscaling, story, target
from grpc_health.v1 import health_pb2, health_pb2_grpc

from llm_client.request import DEFAULT, chat_request
from llm_client.transport import CHANNEL_OPTIONS
from llm_client.v1 import inference_pb2 as pb
from llm_client.v1 import inference_pb2_grpc
from support.traefik import READ_TIMEOUT_SECONDS, Traefik, as_list, kinds, running_traefik
from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

GATEWAY = "public"
OLD, NEW = 8, 9
"""`maxQueue` of both revisions: GetModelInfo tells it, so every answer says who gave it."""
SHARE = 20
CALLS = 500
CANARY = {"strategy": "Canary", "steps": [{"setWeight": SHARE}, {"pause": {}}]}
TO_ZERO = {
    "minReplicas": 0,
    "maxReplicas": 1,
    "stableWindowSeconds": 6,
    "scaleDown": {"stabilizationWindowSeconds": 0},
    "scaleToZero": {"afterSeconds": 5},
}


@pytest.fixture(scope="module")
def traefik(cluster: story.Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traefik]:
    """A Gateway in the cluster; the Gateway API goes with it."""
    if target.existing_registry(os.environ):
        pytest.skip("the Gateway runs on this machine, from which only our own pods are reached")
    kubectl = cluster.kubectl
    crds = [f"--filename={crd}" for crd in kinds()]
    kubectl("apply", "--server-side", *crds)  # too large for the client's side
    kubectl("wait", *crds, "--for=condition=Established", "--timeout=30s")
    log = tmp_path_factory.mktemp("traefik") / "log"
    with running_traefik(kubectl.environment["KUBECONFIG"], log) as running:
        kubectl.apply(as_list(running.objects(GATEWAY, cluster.namespace)))
        gateway = ("-n", cluster.namespace, f"gateway/{GATEWAY}")
        kubectl("wait", *gateway, "--for=condition=Programmed", "--timeout=30s")
        yield running
    kubectl("delete", "--ignore-not-found", *crds)


def apply(stage: story.Stage, **spec: Any) -> None:
    """The minimal LLMDeployment behind the Gateway."""
    manifest = yaml.safe_load(story.minimal(stage))
    routing = {"gateway": {"parentRefs": [{"name": GATEWAY}], "hostnames": [host(stage)]}}
    manifest["spec"] |= {"routing": routing, **spec}
    manifest["spec"]["runtime"]["maxQueue"] = OLD
    stage.kubectl.apply(json.dumps(manifest), "-n", stage.namespace)


def host(stage: story.Stage) -> str:
    return f"{stage.name}.test"


@pytest.fixture(scope="module")
def idle(cluster: story.Stage, traefik: Traefik) -> Iterator[story.Stage]:
    """An LLMDeployment that goes to zero by itself, while the other one is tried."""
    stage = replace(cluster, name="idle")
    story.remove(stage)  # a killed run may have left it
    apply(stage, autoscaling=TO_ZERO)
    yield stage
    story.remove(stage)


@pytest.fixture(scope="module")
def routed(cluster: story.Stage, idle: story.Stage) -> Iterator[story.Stage]:
    """An LLMDeployment that clients reach through the Gateway."""
    stage = replace(cluster, name="routed")
    story.remove(stage)
    apply(stage, rollout=CANARY)
    story.watch_until(stage, is_routed, print, 180)
    yield stage
    story.remove(stage)


def is_routed(found: dict[str, Any]) -> bool:
    """Whether it serves, and the Gateway has taken the route as it is now."""
    return story.is_ready(found) and is_programmed(found)


def is_programmed(found: dict[str, Any]) -> bool:
    route = story.condition(found, "RouteReady")
    return (route.get("status"), route.get("reason")) == ("True", "Programmed")


def is_shared(found: dict[str, Any]) -> bool:
    """Whether the new revision has its share."""
    rollout = found["status"].get("rollout", {})
    weights = rollout.get("weights", {}).get("canaryPercent")
    return (rollout.get("phase"), weights) == ("Paused", SHARE) and is_programmed(found)


@contextmanager
def channel(traefik: Traefik, stage: story.Stage) -> Iterator[grpc.Channel]:
    """One connection to the Gateway, as our client makes it, for the LLMDeployment's name."""
    options = (*CHANNEL_OPTIONS, ("grpc.default_authority", host(stage)))
    with grpc.insecure_channel(traefik.address, options) as made:
        yield made


def is_answered(connection: grpc.Channel) -> bool:
    """Whether a call arrives: Traefik follows the pods within two seconds, not at once."""
    try:
        who_answers(connection)
    except grpc.RpcError:
        return False
    return True


def who_answers(connection: grpc.Channel) -> int:
    """The revision that took a call, by its `maxQueue`."""
    stub = inference_pb2_grpc.InferenceStub(connection)
    return int(stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=10).max_queue)


@dataclass(slots=True)
class Stream:
    """A stream of answers that goes on until something happens in the pod: its health."""

    call: Any
    since: float = field(default_factory=time.monotonic)
    heard: list[int] = field(default_factory=list)
    end: str = ""

    def listen(self) -> None:
        try:
            for answer in self.call:
                self.heard.append(answer.status)
        except grpc.RpcError as error:
            self.end = str(error)

    @property
    def age(self) -> float:
        return time.monotonic() - self.since


@pytest.fixture(scope="module")
def stream(traefik: Traefik, routed: story.Stage) -> Iterator[Stream]:
    """A stream through the Gateway that flows while the other tests run."""
    with channel(traefik, routed) as connection:
        until(lambda: is_answered(connection), seconds=20, what="an answer through the Gateway")
        request = health_pb2.HealthCheckRequest(service="llm.v1.Inference")
        made = Stream(health_pb2_grpc.HealthStub(connection).Watch(request, timeout=250))
        thread = threading.Thread(target=made.listen)
        thread.start()
        until(lambda: bool(made.heard), seconds=10, what="the stream's first answer")
        yield made
        made.call.cancel()
        thread.join(10)


def shared_calls(traefik: Traefik, stage: story.Stage) -> Counter[int]:
    """Who takes calls of one connection when the new revision has its share."""
    story.patch_spec(stage, {"runtime": {"maxQueue": NEW}})
    story.watch_until(stage, is_shared, print, 120)
    with channel(traefik, stage) as connection:

        def new_one_answers() -> bool:
            return who_answers(connection) == NEW

        until(new_one_answers, seconds=20, what="an answer of the new revision")
        return Counter(who_answers(connection) for _ in range(CALLS))


def call_at_zero(traefik: Traefik, stage: story.Stage) -> str:
    """What the model says to a call that finds no pod."""
    story.watch_until(stage, autoscaling.has_pods(0), print, 120)
    _, question, _ = story.QUESTIONS[0]
    with channel(traefik, stage) as connection:
        stub = inference_pb2_grpc.InferenceStub(connection)
        return str(stub.Generate(chat_request(question, DEFAULT), timeout=120).text)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen while a stream flowed for longer than the proxy's time-out."""

    answers: Counter[int]
    at_zero: str
    heard_meanwhile: list[int]
    heard_at_last: list[int]


@pytest.fixture(scope="module")
def seen(traefik: Traefik, idle: story.Stage, routed: story.Stage, stream: Stream) -> Seen:
    """Played once: the stream takes its minute, and all else fits into that."""
    answers, at_zero = shared_calls(traefik, routed), call_at_zero(traefik, idle)
    limit = READ_TIMEOUT_SECONDS + 2
    until(lambda: stream.age > limit, seconds=limit, what="the proxy's time-out to pass")
    heard = list(stream.heard)
    story.patch_spec(routed, {"suspend": True})
    until(lambda: len(stream.heard) > 1 or bool(stream.end), seconds=60, what="the pod's last word")
    return Seen(answers, at_zero, heard, list(stream.heard))


def test_calls_of_one_connection_are_shared_as_the_rollout_says(seen: Seen) -> None:
    assert seen.answers.total() == CALLS == seen.answers[OLD] + seen.answers[NEW]
    assert abs(100 * seen.answers[NEW] / CALLS - SHARE) <= 2


def test_a_call_through_the_gateway_is_held_at_zero_and_answered(seen: Seen) -> None:
    assert seen.at_zero == story.QUESTIONS[0][2]


def test_a_stream_outlasts_the_time_that_a_request_may_take_to_come_in(seen: Seen) -> None:
    status = health_pb2.HealthCheckResponse
    assert seen.heard_meanwhile == [status.SERVING]
    assert seen.heard_at_last == [status.SERVING, status.NOT_SERVING]
