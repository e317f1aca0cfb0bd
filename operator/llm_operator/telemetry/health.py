"""HTTP for the kubelet and Prometheus: /healthz and /readyz on one port, /metrics on another.

Healthy means: this event loop answers and no watch is stuck. An API server that is down makes the
operator neither unhealthy nor unready: a restart would not bring it back. Ready means: the caches
were filled once. A replica that does not lead is ready too, or a rolling update would wait for
ever.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiohttp import web

from llm_operator.telemetry.metrics import CONTENT_TYPE

Check = Callable[[], str]
"""Says what is wrong; empty when nothing is."""


class Checks(Protocol):
    """What a process knows of its state."""

    def what_is_stuck(self) -> str:
        """Why not alive; empty when alive."""

    def what_is_missing(self) -> str:
        """Why not ready; empty when ready."""


class HasPorts(Protocol):
    """Settings; 0 takes any free port."""

    @property
    def health_port(self) -> int: ...

    @property
    def metrics_port(self) -> int: ...


@asynccontextmanager
async def serve(routes: Mapping[str, Callable[[], web.Response]], port: int) -> AsyncIterator[int]:
    """Serves GET on these paths on all addresses; gives the port that was taken."""
    app = web.Application()
    for path, answer in routes.items():
        app.router.add_get(path, _handler(answer))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        await site.start()
        yield min(runner.addresses, key=len)[1]  # an IPv4 address is shorter than an IPv6 one
    finally:
        await runner.cleanup()


async def serve_process(
    servers: AsyncExitStack, checks: Checks, metrics: Callable[[], bytes], settings: HasPorts
) -> tuple[int, int]:
    """Serves what every process of ours says about itself; gives the ports for health and for
    metrics that were taken."""
    probes = {"/healthz": verdict(checks.what_is_stuck), "/readyz": verdict(checks.what_is_missing)}
    pages = {"/metrics": page(metrics, CONTENT_TYPE)}
    health_port = await servers.enter_async_context(serve(probes, settings.health_port))
    metrics_port = await servers.enter_async_context(serve(pages, settings.metrics_port))
    return health_port, metrics_port


def verdict(check: Check) -> Callable[[], web.Response]:
    """200 `ok`, or 503 with the reason."""

    def answer() -> web.Response:
        wrong = check()
        return web.Response(text=(wrong or "ok") + "\n", status=503 if wrong else 200)

    return answer


def page(body: Callable[[], bytes], content_type: str) -> Callable[[], web.Response]:
    """200 with the body of the moment."""

    def answer() -> web.Response:
        return web.Response(body=body(), headers={"Content-Type": content_type})

    return answer


def _handler(answer: Callable[[], web.Response]):  # type: ignore[no-untyped-def]  # aiohttp's own
    async def handle(_request: web.Request) -> web.Response:
        return answer()

    return handle
