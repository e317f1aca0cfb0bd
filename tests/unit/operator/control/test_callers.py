"""Who may ask what is held. The API server is a script, and the clock is moved by hand."""

from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest

from llm_operator.control.callers import (
    AUDIENCE,
    REFUSED_SECONDS,
    REMEMBERED,
    REMEMBERED_SECONDS,
    Callers,
    OperatorOnly,
    is_of,
    review,
)
from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError, UnreachableError
from llm_operator.kube.request import Request

SUBJECT = "system:serviceaccount:llm-system:llm-operator"


def reviewed(**changed: Any) -> dict[str, Any]:
    status = {"authenticated": True, "user": {"username": SUBJECT}, "audiences": [AUDIENCE]}
    return {"status": {**status, **changed}}


@dataclass
class Api:
    """Answers every review the same, and notes them."""

    answer: dict[str, Any] | KubeError = field(default_factory=reviewed)
    asked: list[Request] = field(default_factory=list)
    now: float = 1000.0

    async def send(self, request: Request) -> dict[str, Any]:
        self.asked.append(request)
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def callers(api: Api) -> Callers:
    return Callers(cast(KubeClient, api), SUBJECT, lambda: api.now)


def test_a_review_asks_for_a_token_of_control_ports() -> None:
    request = review("t0ken")
    assert (request.method, request.path) == (
        "POST",
        "/apis/authentication.k8s.io/v1/tokenreviews",
    )
    assert request.body == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "t0ken", "audiences": [AUDIENCE]},
    }


@pytest.mark.parametrize(
    "answer",
    [
        reviewed(authenticated=False),
        reviewed(authenticated="true"),
        reviewed(audiences=["https://kubernetes.default.svc"]),
        reviewed(audiences=None),
        reviewed(user={"username": SUBJECT + "-2"}),
        reviewed(user={"username": "system:serviceaccount:other:llm-operator"}),
        reviewed(user=None),
        {"status": None},
        {},
    ],
)
def test_whoever_is_not_the_operator_with_such_a_token_is_nobody(answer: dict[str, Any]) -> None:
    assert is_of(SUBJECT, reviewed())
    assert not is_of(SUBJECT, answer)


@pytest.mark.parametrize("field_value", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
async def test_without_a_token_the_api_server_is_not_asked(
    api: Api, callers: Callers, field_value: str | None
) -> None:
    assert not await callers.is_allowed(field_value)
    assert not api.asked


async def test_the_operator_is_asked_about_once_a_minute(api: Api, callers: Callers) -> None:
    for _ in range(3):
        assert await callers.is_allowed("Bearer a")
    assert await callers.is_allowed("bearer a")
    assert len(api.asked) == 1
    api.now += REMEMBERED_SECONDS
    assert await callers.is_allowed("Bearer a")
    assert len(api.asked) == 2


async def test_a_token_that_is_revoked_is_good_for_a_minute_at_most(
    api: Api, callers: Callers
) -> None:
    assert await callers.is_allowed("Bearer a")
    api.answer = reviewed(authenticated=False)
    api.now += REMEMBERED_SECONDS
    assert not await callers.is_allowed("Bearer a")


async def test_a_no_is_remembered_for_seconds_only(api: Api, callers: Callers) -> None:
    api.answer = reviewed(authenticated=False, error="the authenticator was away")
    assert not await callers.is_allowed("Bearer a")
    api.answer = reviewed()
    assert not await callers.is_allowed("Bearer a")
    assert len(api.asked) == 1
    api.now += REFUSED_SECONDS
    assert await callers.is_allowed("Bearer a")


async def test_without_the_api_server_nobody_new_is_allowed_and_nothing_is_remembered(
    api: Api, callers: Callers
) -> None:
    assert await callers.is_allowed("Bearer a")
    api.answer = UnreachableError("gone")
    assert await callers.is_allowed("Bearer a")
    assert not await callers.is_allowed("Bearer b")
    api.answer = reviewed()
    assert await callers.is_allowed("Bearer b")


async def test_neither_many_callers_nor_their_tokens_are_kept(api: Api, callers: Callers) -> None:
    for number in range(3 * REMEMBERED):
        await callers.is_allowed(f"Bearer secret-{number}")
    assert len(callers._known) == REMEMBERED
    assert "secret" not in repr(callers._known)


@dataclass
class Details:
    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...]


async def answered_by(callers: Callers, method: str, *metadata: tuple[str, str | bytes]) -> bool:
    """Whether a call gets through to the server's own handler."""
    own = grpc.unary_unary_rpc_method_handler(lambda _request, _context: None)

    async def continuation(_details: Any) -> Any:
        return own

    details = cast(grpc.HandlerCallDetails, Details(method, metadata))
    return await OperatorOnly(callers).intercept_service(continuation, details) is own


WATCH = "/llm.v1.Activation/WatchHeld"


async def test_the_operator_gets_through(callers: Callers) -> None:
    assert await answered_by(callers, WATCH, ("authorization", "Bearer a"))


async def test_whoever_shows_no_token_or_two_is_refused(api: Api, callers: Callers) -> None:
    token = ("authorization", "Bearer a")
    assert not await answered_by(callers, WATCH)
    assert not await answered_by(callers, WATCH, token, token)
    assert not api.asked


async def test_health_is_open_to_all_and_nothing_that_only_looks_like_it(
    api: Api, callers: Callers
) -> None:
    assert await answered_by(callers, "/grpc.health.v1.Health/Check")
    assert not await answered_by(callers, "/grpc.health.v1.HealthX/Check")
    assert not api.asked
