"""Who may ask what is held: the operator, by its projected service account token.

The API server is asked (a TokenReview), because the activator has its own token for it anyway, and
no key has to be handed out. Whatever is wrong, the caller gets the same answer.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import grpc.aio

from llm_operator.kube.client import KubeClient
from llm_operator.kube.errors import KubeError
from llm_operator.kube.request import Request
from llm_operator.kube.resources import Resource
from llm_operator.rpc import Context, Handler, Interceptor

logger = logging.getLogger(__name__)

AUDIENCE = "llm-operator.dev/control"
"""Of tokens for control ports."""
TOKEN_REVIEW = Resource("TokenReview", "tokenreviews", "authentication.k8s.io", "v1")
REMEMBERED_SECONDS = 60.0
"""A token that is revoked is good for so long at most."""
REFUSED_SECONDS = 5.0
"""A no can be of a moment, as when the authenticator itself failed; the operator must not wait."""
REMEMBERED = 100

_OPEN_PREFIX = "/grpc.health.v1.Health/"
_REFUSAL = "This call needs a valid token of the operator in the metadata field authorization"


def review(token: str) -> Request:
    """Asks the API server whose token this is."""
    return Request(
        verb="create",
        method="POST",
        path=TOKEN_REVIEW.path(None),
        resource=TOKEN_REVIEW,
        body={
            "apiVersion": TOKEN_REVIEW.api_version,
            "kind": TOKEN_REVIEW.kind,
            "spec": {"token": token, "audiences": [AUDIENCE]},
        },
    )


def is_of(subject: str, answer: dict[str, Any]) -> bool:
    """Whether a reviewed token is the subject's and made for control ports."""
    status = answer.get("status") or {}
    return (
        status.get("authenticated") is True
        and AUDIENCE in (status.get("audiences") or ())
        and (status.get("user") or {}).get("username") == subject
    )


@dataclass(slots=True)
class Callers:
    """Reviews tokens against one subject, `system:serviceaccount:NAMESPACE:NAME`, and remembers the
    answers for a while. Tokens themselves are not kept."""

    client: KubeClient
    subject: str
    clock: Callable[[], float]
    _known: "OrderedDict[bytes, tuple[float, bool]]" = field(default_factory=OrderedDict)

    async def is_allowed(self, authorization: str | None) -> bool:
        """`authorization` is the metadata field. Without the API server nobody new is allowed."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return False
        digest = hashlib.sha256(token.encode()).digest()
        until, known = self._known.get(digest, (0.0, False))
        if until > self.clock():
            return known
        try:
            found = is_of(self.subject, await self.client.send(review(token)))
        except KubeError as error:
            logger.warning("Could not review a caller", extra={"error": str(error)})
            return False
        self._remember(digest, found)
        return found

    def _remember(self, digest: bytes, found: bool) -> None:
        seconds = REMEMBERED_SECONDS if found else REFUSED_SECONDS
        self._known[digest] = (self.clock() + seconds, found)
        self._known.move_to_end(digest)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class OperatorOnly(Interceptor):
    """Refuses every call but health checks to all but the operator."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Passes the call on, or answers it with UNAUTHENTICATED before a message is read."""
        method = handler_call_details.method
        token = _authorization(handler_call_details.invocation_metadata)
        if method.startswith(_OPEN_PREFIX) or await self._callers.is_allowed(token):
            return await continuation(handler_call_details)
        logger.warning("Refused a control call", extra={"method": method})
        return grpc.stream_stream_rpc_method_handler(_refuse)


def _authorization(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    values = [value for key, value in metadata or () if key == "authorization"]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


async def _refuse(_requests: Any, context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
