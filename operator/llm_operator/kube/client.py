"""The API client: sends one `Request`, gives its JSON back, and turns every failure into a
KubeError.

On `kubernetes.aio`: its `ApiClient` brings authentication (also the rotating token of a pod) and
TLS; its hundreds of generated models stay unimported, objects are plain JSON. Retry is not done
here: the queue owns it.

Two rules hold for each call: it ends by its deadline, and a write asks the fence right before it is
sent. The fence answers with the seconds that the lease surely lasts, and the write's deadline is
cut to them, so that a leader that was deposed meanwhile has no write under way.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from llm_operator.kube import request as requests
from llm_operator.kube.errors import KubeError, NotFoundError, UnreachableError, answered
from llm_operator.kube.request import Request, Selection
from llm_operator.kube.resources import Resource

PAGE = 500
"""Objects per page of a list, as kubectl's."""
CONNECT_SECONDS = 5.0

Json = dict[str, Any]
Fence = Callable[[], float]
"""Seconds for which writes are safe; raises NotLeaderError when they are not."""
Note = Callable[[Request, str, float], None]
"""Is told of every call: the request, the outcome (`ok` or an error's class name), its seconds."""


def unfenced() -> float:
    """For what may write without leading: the lease itself."""
    return inf


def unnoted(_request: Request, _outcome: str, _seconds: float) -> None:
    """For callers that measure nothing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a selection, with the resource version to watch from."""

    items: tuple[Json, ...]
    resource_version: str


@dataclass(slots=True)
class KubeClient:
    """Calls to one API server. Close it with `aclose`."""

    api: ApiClient
    fence: Fence = unfenced
    note: Note = unnoted
    clock: Callable[[], float] = field(default=time.monotonic)

    async def aclose(self) -> None:
        await self.api.close()

    async def send(self, request: Request) -> Json:
        """The answer's JSON. Raises a KubeError, never anything of the transport."""
        deadline = min(request.deadline, self.fence()) if request.writes else request.deadline
        started = self.clock()
        outcome = "ok"
        try:
            async with asyncio.timeout(deadline), self._exchange(request) as response:
                return _parsed(await response.read())
        except KubeError as error:
            outcome = type(error).__name__
            raise
        except TimeoutError as error:
            outcome = UnreachableError.__name__
            raise UnreachableError(
                f"{request.method} {request.path}: no answer in {deadline:.1f} s"
            ) from error
        finally:
            self.note(request, outcome, self.clock() - started)

    @asynccontextmanager
    async def _exchange(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a request, its status checked, its body not read yet."""
        headers = {
            "Accept": request.accept,
            "Content-Type": request.content_type,
            "User-Agent": requests.FIELD_MANAGER,
        }
        try:
            await self.api.update_params_for_auth(
                headers, [], ["BearerToken"], request.path, request.method, None
            )
            url = self.api.configuration.host + request.path
            if request.query:
                url += "?" + urlencode(request.query)
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
            answer = await self.api.call_api(
                request.method, url, headers, request.body, _request_timeout=timeout
            )
            response: aiohttp.ClientResponse = answer.response
            try:
                if response.status >= 400:
                    raise await _refusal(response)
                yield response
            finally:
                response.close() if request.verb == "watch" else response.release()
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"{request.method} {request.path}: {error}") from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of a watch, in pieces as they arrive. The deadline is for its beginning only."""
        try:
            async with (
                asyncio.timeout(requests.READ_SECONDS) as opening,
                self._exchange(request) as response,
            ):
                opening.reschedule(None)
                yield response.content.iter_any()
        except TimeoutError as error:
            raise UnreachableError(f"{request.path}: the watch did not begin") from error

    async def get(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """The object, or None when there is none."""
        try:
            return await self.send(requests.get(resource, namespace, name))
        except NotFoundError:
            return None

    async def get_raw(self, path: str) -> Json:
        return await self.send(requests.get_raw(path))

    async def list_metadata(self, what: Selection) -> Listing:
        """As `list`, with nothing but each object's metadata."""
        return await self.list(what, accept=requests.METADATA)

    async def list(self, what: Selection, *, accept: str = requests.JSON) -> Listing:
        """All objects of the selection, read in pages, each with `apiVersion` and `kind`."""
        items: list[Json] = []
        token = ""
        while True:
            request = requests.list_page(what, limit=PAGE, token=token, accept=accept)
            page = await self.send(request)
            items += [_typed(item, what.resource) for item in page.get("items") or ()]
            token = page["metadata"].get("continue") or ""
            if not token:
                return Listing(tuple(items), page["metadata"]["resourceVersion"])

    async def apply(self, manifest: Mapping[str, Any], *, uid: str | None) -> Json:
        return await self.send(requests.apply(manifest, uid=uid))

    async def delete(self, doomed: requests.Doomed, propagation: str) -> None:
        """Deletes; an object that is gone already is as wished."""
        try:
            await self.send(requests.delete(doomed, propagation))
        except NotFoundError:
            return


def _typed(item: Json, resource: Resource) -> Json:
    return {**item, "apiVersion": resource.api_version, "kind": resource.kind}


def _parsed(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise UnreachableError("The answer is not JSON: a proxy stands in between") from error
    if not isinstance(value, dict):
        raise UnreachableError("The answer is not a JSON object: a proxy stands in between")
    return value


async def _refusal(response: aiohttp.ClientResponse) -> KubeError:
    raw = await response.read()
    try:
        body = json.loads(raw)
    except ValueError:
        body = {"message": raw[:200].decode(errors="replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)}
    return answered(response.status, body, retry_after(response.headers.get("Retry-After")))


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header. The API server sends no dates; those are ignored."""
    return float(value) if value is not None and value.isdecimal() else None
