"""The servers of a runtime pod in the test's own process, over real gRPC and ONNX Runtime."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from llm_client.v1 import control_pb2_grpc
from llm_runtime.backend.base import Backend, StepInput, StepOutput
from llm_runtime.commands.serve import build
from llm_runtime.engine.batch import Load
from llm_runtime.engine.loop import Engine
from llm_runtime.server.app import App
from llm_runtime.settings import ServeSettings
from llm_runtime.telemetry.metrics import Metrics

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "llm-operator.dev/control"
SUBJECT = "system:serviceaccount:llm-system:llm-operator"


class Gate:
    """Records the steps of a backend and, when closed, holds each one until it is let through."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._open = threading.Event()
        self._open.set()
        self._arrived = threading.Semaphore(0)
        self.steps: list[StepInput] = []
        self.failure: Exception | None = None

    def load(self) -> None:
        self._backend.load()

    def step(self, step: StepInput) -> StepOutput:
        self.steps.append(step)
        self._arrived.release()
        self._open.wait()
        if self.failure is not None:
            raise self.failure
        return self._backend.step(step)

    def close(self) -> None:
        self._backend.close()

    def hold(self) -> None:
        """Holds the next step."""
        self._open.clear()

    def let_go(self) -> None:
        """Lets everything through."""
        self._open.set()

    async def arrive(self) -> None:
        """Returns when one more step has begun than was waited for."""
        await asyncio.to_thread(self._arrived.acquire)


@dataclass(frozen=True, slots=True)
class Operator:
    """Signs tokens as the API server would for the operator."""

    key: ec.EllipticCurvePrivateKey
    file: Path
    kid: str = "key-1"

    def write_trust(self) -> None:
        """Writes control-auth.json with the public key."""
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        keys = [public | {"kid": self.kid, "alg": "ES256", "use": "sig"}]
        document = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "subject": SUBJECT,
            "jwks": {"keys": keys},
        }
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self.file)

    def token(self, **changes: Any) -> str:
        """A good token but for the changes; a claim that is None is left out."""
        kid = changes.pop("kid", self.kid)
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT, "iat": now, "exp": now + 600}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": kid})

    def metadata(self, **changes: Any) -> tuple[tuple[str, str], ...]:
        """The token as a call carries it."""
        return (("authorization", f"Bearer {self.token(**changes)}"),)


def new_operator(folder: Path) -> Operator:
    """An operator whose trust is written into the folder."""
    operator = Operator(ec.generate_private_key(ec.SECP256R1()), folder / "control-auth.json")
    operator.write_trust()
    return operator


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Returns when the condition holds, for what tells nobody that it has changed; at most 30 s."""
    async with asyncio.timeout(30):
        while True:
            answer = holds()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.002)


@dataclass(slots=True)
class Pod:
    """A running pod."""

    app: App
    engine: Engine
    gate: Gate
    metrics: Metrics
    control_channel: grpc.aio.Channel

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.app.ports.data}"

    @property
    def control(self) -> "control_pb2_grpc.ControlAsyncStub":
        return control_pb2_grpc.ControlStub(self.control_channel)

    async def health(self, service: str) -> str:
        """What the control port says about a service."""
        stub = health_pb2_grpc.HealthStub(self.control_channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    async def until(self, service: str, wanted: str) -> None:
        """Watches a service on the control port until it says what is wanted."""
        stub = health_pb2_grpc.HealthStub(self.control_channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        async for answer in watch:
            if health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == wanted:
                watch.cancel()
                return

    async def until_load(self, wanted: Callable[[Load], bool]) -> None:
        """Returns when the engine's load is as wanted. The engine tells nobody, so it is asked."""
        await eventually(lambda: wanted(self.engine.load))

    def count(self, name: str, **labels: str) -> float:
        """A sample of the pod's metrics."""
        value = self.metrics.registry.get_sample_value(name, labels)
        assert value is not None, f"{name} {labels} is not there"
        return value


Replace = Callable[[Backend], Backend]


@asynccontextmanager
async def running_pod(
    artifact: Path,
    *,
    held: bool = False,
    backend: Replace | None = None,
    unread_tokens: int = 2048,
    **settings: Any,
) -> AsyncIterator[Pod]:
    """Starts a pod on free ports and takes it down in the end.

    Args:
        artifact: folder to serve.
        held: holds the very first step, so that the pod does not become ready by itself.
        backend: replaces the real backend.
        unread_tokens: what a client may leave unread.
        settings: of ServeSettings.
    """
    free = {"host": "127.0.0.1", "data_port": 0, "control_port": 0, "metrics_port": 0}
    values = {"model_dir": artifact, "model_name": "demo", "lame_duck_seconds": 0.2}
    chosen = ServeSettings.model_validate(free | values | settings)
    metrics = Metrics()
    engine, model = build(chosen, metrics)
    real = engine._backend
    gate = Gate(backend(real) if backend else real)
    engine = Engine(gate, replace(engine.config, unread_tokens=unread_tokens), metrics)
    if held:
        gate.hold()
    app = App(chosen, engine, model, metrics)
    await app.open()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.ports.control}") as channel:
        pod = Pod(app, engine, gate, metrics, channel)
        try:
            if not held:
                await pod.until("readiness", "SERVING")
            yield pod
        finally:
            gate.let_go()
            await app.close()
