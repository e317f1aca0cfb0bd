"""One life of the real operator against a real API server, and its end at any write.

All parts are the product's own but kopf: its one job, telling LLMDeployments, is done by one more
watch here, so that several lives fit into one process. The end comes in the transport: from the
chosen write on, no byte passes in either direction, as after a SIGKILL. Leases are not counted as
writes: they are renewed by time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTResponse

from llm_operator.handlers import notice
from llm_operator.kube.request import Selection
from llm_operator.kube.resources import LLM_DEPLOYMENT
from llm_operator.kube.store import Key, Store
from llm_operator.kube.watch import Watch
from llm_operator.reconcile.reconcile import Planner
from llm_operator.settings import Settings
from llm_operator.wiring import Operator, assemble

Moment = Literal["before", "after"]
"""Whether the fatal write is still sent: `after` means done by the server, its answer lost."""


class CutApi(ApiClient):
    """An API client that counts writes and can be cut at one of them."""

    def __init__(
        self, configuration: Configuration, cut_at: int | None = None, moment: Moment = "before"
    ) -> None:
        super().__init__(configuration)
        self.writes: list[str] = []
        self.cut_at, self.moment = cut_at, moment
        self.is_cut = asyncio.Event()

    async def call_api(
        self,
        method: Any,
        url: Any,
        header_params: Any = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
        _preload_content: Any = True,
    ) -> RESTResponse:
        if self.is_cut.is_set():
            raise ConnectionResetError("cut")
        is_fatal = False
        if method != "GET" and "/leases" not in url:
            self.writes.append(f"{method} {url.partition('?')[0]}")
            is_fatal = self.cut_at is not None and len(self.writes) >= self.cut_at
        if is_fatal and self.moment == "before":
            self._cut()
        answer = await super().call_api(
            method, url, header_params, body, post_params, _request_timeout, _preload_content
        )
        if is_fatal:
            await answer.read()
            self._cut()
        return answer

    def _cut(self) -> None:
        self.is_cut.set()
        raise ConnectionResetError("cut")


@dataclass(slots=True)
class Life:
    """A running operator."""

    operator: Operator
    api: CutApi

    @property
    def reconciles(self) -> float:
        """Runs that found nothing to do."""
        series = self.operator.metrics.reconciles.labels("unchanged")
        return float(sum(bucket.get() for bucket in series._buckets))


class _Told(Store):
    """Passes on what it is given as kopf's events are."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self._loop = operator.loop

    def put(self, manifest: Mapping[str, Any]) -> set[Key]:
        notice("MODIFIED", manifest, self._loop.queue, self._loop.roster)
        return set()

    def replace(
        self,
        manifests: Iterable[Mapping[str, Any]],
        version: str,  # noqa: ARG002  # the Store's
        namespace: str | None = None,  # noqa: ARG002
    ) -> set[Key]:
        for manifest in manifests:
            self.put(manifest)
        return set()

    def remove(self, manifest: Mapping[str, Any]) -> set[Key]:
        notice("DELETED", manifest, self._loop.queue, self._loop.roster)
        return set()


def settings_for(namespace: str, **changes: Any) -> Settings:
    return Settings(
        **{
            "namespace": namespace,
            "service_account": "llm-operator",
            "pod_name": "operator",
            "watch_namespaces": (namespace,),
            "runtime_image": "localhost/llm-operator/runtime:1",
            "exporter_image": "localhost/llm-operator/exporter:1",
            "registry": "registry.test:5000",
            "lease_seconds": 15.0,
            **changes,
        }
    )


@asynccontextmanager
async def alive(
    configuration: Configuration,
    settings: Settings,
    plan: Planner,
    cut: tuple[int, Moment] | None = None,
    client: type[CutApi] = CutApi,
) -> AsyncIterator[Life]:
    """An operator that lives as long as the block; raises what ended it before."""
    api = client(configuration, *(cut or (None, "before")))
    operator = assemble(settings, api, plan)
    what = Selection(LLM_DEPLOYMENT, settings.watch_namespaces[0])
    events = Watch(operator.client, what, _Told(operator), lambda _: None)
    running = asyncio.create_task(operator.loop.run())
    telling = asyncio.create_task(events.run())
    try:
        yield Life(operator, api)
        if running.done():
            running.result()
    finally:
        running.cancel()
        telling.cancel()
        await asyncio.wait({running, telling})
        await operator.client.aclose()


async def eventually(
    holds: Callable[[], Any], *, seconds: float = 20.0, every: float = 0.05
) -> None:
    """Asks until the answer is true; fails the test with the last answer after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = holds()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {holds}"
        await asyncio.sleep(every)
