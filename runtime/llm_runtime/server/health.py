"""grpc.health.v1 on both ports.

Readiness, liveness and startup are different questions with different answers.

Data port: "" and "llm.v1.Inference" say whether to send calls here. Control port, for the kubelet:
`startup`, `readiness`, and `liveness`, which depends on the engine's heartbeat alone and stays
SERVING under any load and while draining.
"""

from dataclasses import dataclass, field

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio  # type: ignore[attr-defined]  # the stubs lack it

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

DATA_SERVICES = ("", "llm.v1.Inference")
STARTUP = "startup"
READINESS = "readiness"
LIVENESS = "liveness"


@dataclass(slots=True)
class Health:
    """The two servicers, and what they say."""

    data: aio.HealthServicer = field(default_factory=aio.HealthServicer)
    control: aio.HealthServicer = field(default_factory=aio.HealthServicer)

    async def begin(self) -> None:
        """Says alive, but neither started nor ready."""
        await self.set_alive(is_alive=True)
        await self.control.set(STARTUP, NOT_SERVING)
        await self.set_ready(is_ready=False)

    async def set_started(self) -> None:
        """Says that the model is loaded and one step ran."""
        await self.control.set(STARTUP, SERVING)

    async def set_ready(self, *, is_ready: bool) -> None:
        """Says whether calls should come here."""
        status = SERVING if is_ready else NOT_SERVING
        await self.control.set(READINESS, status)
        for name in DATA_SERVICES:
            await self.data.set(name, status)

    async def set_alive(self, *, is_alive: bool) -> None:
        """Says whether the engine makes progress; the control port's own "" says the same."""
        status = SERVING if is_alive else NOT_SERVING
        await self.control.set(LIVENESS, status)
        await self.control.set("", status)
