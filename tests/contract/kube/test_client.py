"""The API client against a server with exact faults: each becomes one error of ours, in time."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from math import inf

import kmock as km
import pytest
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from llm_operator.kube import request as requests
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import (
    MESSAGE_LIMIT,
    AnsweredError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    NotLeaderError,
    ServerFailedError,
    ThrottledError,
    UnreachableError,
)
from llm_operator.kube.request import Doomed, Selection
from llm_operator.kube.resources import BY_KIND, LLM_DEPLOYMENT
from support.free_port import free_port

pytestmark = pytest.mark.kmock(cls=km.RawHandler)  # what is scripted is answered, nothing else

SERVICE = BY_KIND["Service"]
PATH = "/api/v1/namespaces/n/services"
MANIFEST = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "n"}}


def an_api(url: str) -> ApiClient:
    return ApiClient(Configuration(host=url.rstrip("/")))


@pytest.fixture
async def client(kmock: km.RawHandler) -> AsyncIterator[KubeClient]:
    client = KubeClient(an_api(str(kmock.url)))
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (409, ConflictError),
        (410, GoneError),
        (422, InvalidError),
        (429, ThrottledError),
        (500, ServerFailedError),
        (503, ServerFailedError),
        (418, AnsweredError),
    ],
)
async def test_each_status_is_an_error_of_its_own(
    kmock: km.RawHandler, client: KubeClient, status: int, error: type[AnsweredError]
) -> None:
    kmock[f"patch {PATH}/a"] << status << {"reason": "Because", "message": "of this"}
    with pytest.raises(error, match=f"{status} Because: of this"):
        await client.apply(MANIFEST, uid=None)


async def test_what_the_server_asks_us_to_wait_is_kept(
    kmock: km.RawHandler, client: KubeClient
) -> None:
    kmock[f"patch {PATH}/a"] << 429 << km.headers({"Retry-After": "7"}) << {"reason": "Busy"}
    with pytest.raises(ThrottledError) as caught:
        await client.apply(MANIFEST, uid=None)
    assert caught.value.retry_after == 7


async def test_an_absent_object_is_none(kmock: km.RawHandler, client: KubeClient) -> None:
    kmock[f"get {PATH}/a"] << 404 << {"reason": "NotFound"}
    assert await client.get(SERVICE, "n", "a") is None


async def test_deleting_what_is_gone_succeeds(kmock: km.RawHandler, client: KubeClient) -> None:
    kmock[f"delete {PATH}/a"] << 404 << {"reason": "NotFound"}
    await client.delete(Doomed(SERVICE, "n", "a", "u-1"), "Background")
    assert kmock["delete"][0].data["preconditions"] == {"uid": "u-1"}
    assert kmock["delete"][0].data["propagationPolicy"] == "Background"


async def test_an_apply_says_who_applies_and_to_which_object(
    kmock: km.RawHandler, client: KubeClient
) -> None:
    kmock[f"patch {PATH}/a"] << MANIFEST
    await client.apply(MANIFEST, uid="u-1")
    request = kmock["patch"][0]
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.params == {"fieldManager": "llm-operator", "force": "true"}
    assert request.data["metadata"]["uid"] == "u-1"
    assert "uid" not in MANIFEST["metadata"]


async def test_a_list_is_read_in_pages(kmock: km.RawHandler, client: KubeClient) -> None:
    first = {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [{"a": 1}]}
    last = {"metadata": {"resourceVersion": "9"}, "items": [{"a": 2}]}
    kmock[f"get {PATH}"] << (lambda req: last if "continue" in req.params else first)
    listing = await client.list(Selection(SERVICE, "n", "x=y"))
    typed = {"apiVersion": "v1", "kind": "Service"}
    assert listing.items == ({**typed, "a": 1}, {**typed, "a": 2})
    assert listing.resource_version == "9"
    assert kmock["get"][1].params["continue"] == "more"
    assert kmock["get"][1].params["labelSelector"] == "x=y"


async def test_a_list_whose_token_has_expired_says_gone(
    kmock: km.RawHandler, client: KubeClient
) -> None:
    first = {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": []}
    kmock[f"get {PATH}", {"continue": "more"}] << 410 << {"reason": "Expired"}
    kmock[f"get {PATH}"] << first
    with pytest.raises(GoneError):
        await client.list(Selection(SERVICE, "n"))


async def test_a_server_that_does_not_answer_is_left_in_time(
    kmock: km.RawHandler, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "WRITE_SECONDS", 0.2)
    kmock[f"patch {PATH}/a"] << (lambda: asyncio.sleep(30)) << MANIFEST
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=r"no answer in 0\.2 s"):
        await client.apply(MANIFEST, uid=None)
    assert time.monotonic() - started < 5


async def test_a_watch_that_does_not_begin_is_left_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = KubeClient(an_api(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(UnreachableError, match="did not begin"):
            async with client.stream(requests.watch(Selection(SERVICE), since="1", seconds=60)):
                pass
        await client.aclose()


async def test_nobody_there_is_unreachable() -> None:
    client = KubeClient(an_api(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(UnreachableError, match="Cannot connect"):
        await client.get(SERVICE, "n", "a")
    await client.aclose()


async def test_an_answer_that_is_no_json_is_not_taken_for_one(
    kmock: km.RawHandler, client: KubeClient
) -> None:
    kmock[f"get {PATH}/a"] << b"<html>login</html>"
    with pytest.raises(UnreachableError, match="proxy"):
        await client.get(SERVICE, "n", "a")


async def test_an_error_page_of_a_proxy_is_an_error_of_the_server(
    kmock: km.RawHandler, client: KubeClient
) -> None:
    kmock[f"get {PATH}/a"] << 502 << b"<html>bad gateway</html>"
    with pytest.raises(ServerFailedError, match="bad gateway"):
        await client.get(SERVICE, "n", "a")


async def test_a_servers_text_stays_short(kmock: km.RawHandler, client: KubeClient) -> None:
    kmock[f"get {PATH}/a"] << 500 << {"message": "x" * 100_000}
    with pytest.raises(ServerFailedError) as caught:
        await client.get(SERVICE, "n", "a")
    assert len(str(caught.value)) < MESSAGE_LIMIT + 100


async def test_who_does_not_lead_sends_no_write(kmock: km.RawHandler) -> None:
    def refuse() -> float:
        raise NotLeaderError("deposed")

    client = KubeClient(an_api(str(kmock.url)), fence=refuse)
    writes = [
        requests.apply(MANIFEST, uid=None),
        requests.delete(Doomed(SERVICE, "n", "a", "u"), "Background"),
        requests.patch_status(LLM_DEPLOYMENT, "n", "a", {"status": {}}),
        requests.create(MANIFEST),
        requests.replace(MANIFEST),
    ]
    for write in writes:
        with pytest.raises(NotLeaderError):
            await client.send(write)
    assert len(kmock) == 0
    await client.aclose()


async def test_who_does_not_lead_may_read(kmock: km.RawHandler) -> None:
    def refuse() -> float:
        raise NotLeaderError("deposed")

    kmock[f"get {PATH}/a"] << MANIFEST
    client = KubeClient(an_api(str(kmock.url)), fence=refuse)
    assert await client.get(SERVICE, "n", "a") == MANIFEST
    await client.aclose()


async def test_a_write_does_not_outlive_the_lease(kmock: km.RawHandler) -> None:
    kmock[f"patch {PATH}/a"] << (lambda: asyncio.sleep(30)) << MANIFEST
    client = KubeClient(an_api(str(kmock.url)), fence=lambda: 0.2)
    with pytest.raises(UnreachableError, match=r"no answer in 0\.2 s"):
        await client.apply(MANIFEST, uid=None)
    await client.aclose()


async def test_every_call_is_noted_with_its_outcome(kmock: km.RawHandler) -> None:
    noted: list[tuple[str, str]] = []
    client = KubeClient(
        an_api(str(kmock.url)),
        fence=lambda: inf,
        note=lambda request, outcome, _seconds: noted.append((request.verb, outcome)),
    )
    kmock[f"get {PATH}/a"] << 404 << {"reason": "NotFound"}
    kmock[f"patch {PATH}/a"] << MANIFEST
    await client.get(SERVICE, "n", "a")
    await client.apply(MANIFEST, uid=None)
    assert noted == [("get", "NotFoundError"), ("patch", "ok")]
    await client.aclose()


def test_every_error_is_a_kube_error() -> None:
    for error in (AnsweredError, NotFoundError, UnreachableError, NotLeaderError):
        assert issubclass(error, KubeError)
