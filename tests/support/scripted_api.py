"""An API server that is a script: lists of two kinds, their changes, and reviews of tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from llm_operator.control.callers import AUDIENCE

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
DEPLOYMENTS = "/apis/llm-operator.dev/v1alpha1/llmdeployments"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
SUBJECT = "system:serviceaccount:llm-system:llm-operator"
GOOD = "good"
"""The operator's token."""


@dataclass(slots=True)
class Collection:
    """Objects of a kind that are there from the start, and the events of its watch."""

    items: list[dict[str, Any]] = field(default_factory=list)
    changes: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Writes an event of the watch."""
        self.changes.put_nowait({"type": kind, "object": told})

    async def read(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"items": self.items, "metadata": {"resourceVersion": "9"}})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(json.dumps(await self.changes.get()).encode() + b"\n")


@dataclass(slots=True)
class ScriptedApi:
    """What processes beside the operator ask for."""

    slices: Collection = field(default_factory=Collection)
    deployments: Collection = field(default_factory=Collection)

    async def review(self, request: web.Request) -> web.Response:
        spec = (await request.json())["spec"]
        status = {
            "authenticated": spec["token"] == GOOD,
            "audiences": spec["audiences"],
            "user": {"username": SUBJECT},
        }
        assert spec["audiences"] == [AUDIENCE]
        return web.json_response({"status": status})


@asynccontextmanager
async def served(api: ScriptedApi) -> AsyncIterator[str]:
    """The address of the API server."""
    app = web.Application()
    app.router.add_get(SLICES, api.slices.read)
    app.router.add_get(DEPLOYMENTS, api.deployments.read)
    app.router.add_post(REVIEWS, api.review)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
