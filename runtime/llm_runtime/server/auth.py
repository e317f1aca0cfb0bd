"""Who may use the control port: the operator, by its projected service account token.

Everything that is not allowed is denied.

The pod has no access to the Kubernetes API. It verifies the token's signature against the API
server's public keys, which the operator renders into a ConfigMap beside issuer, audience and the
one subject that is allowed. The file is read again when it changes. Whatever is wrong, the caller
gets the same answer; the reason goes to the log.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
import jwt

from llm_runtime.server.rpc import AsyncInterceptor, Context, Handler, Interceptor

log = logging.getLogger(__name__)

_ALGORITHMS = ["RS256", "ES256"]
_CLOCK_SKEW_SECONDS = 10
_REFUSAL = "This call needs a valid token of the operator in the metadata field authorization"
# kubelet's probes carry no token. Everything else needs one, methods that nobody implements
# included.
_OPEN_PREFIX = "/grpc.health.v1.Health/"

# The part of a file's identity that changes when kubelet swaps a ConfigMap or somebody writes to
# it.
_Version = tuple[int, int, int]


class UnauthenticatedError(Exception):
    """The token is not one of the operator's. The text is for the log, never for the caller."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens count: issuer, audience, subject, and public keys by key id."""

    issuer: str
    audience: str
    subject: str
    keys: dict[str, jwt.PyJWK]


def parse_trust(content: bytes) -> Trust:
    """Reads control-auth.json.

    Raises ValueError when a field is missing, empty or no key is usable.
    """
    document = json.loads(content)
    try:
        fields = {name: str(document[name]) for name in ("issuer", "audience", "subject")}
        keys = jwt.PyJWKSet.from_dict(document["jwks"]).keys
    except (KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise ValueError(f"control-auth.json is not valid: {error!r}") from error
    if not all(fields.values()):
        raise ValueError("control-auth.json has an empty issuer, audience or subject")
    return Trust(keys={key.key_id: key for key in keys if key.key_id}, **fields)


def check_token(token: str, trust: Trust) -> None:
    """Raises UnauthenticatedError unless signature, issuer, audience, subject and times hold."""
    try:
        key = trust.keys.get(jwt.get_unverified_header(token).get("kid", ""))
        if key is None:
            raise UnauthenticatedError("unknown key id")
        jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=trust.audience,
            issuer=trust.issuer,
            subject=trust.subject,
            leeway=_CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise UnauthenticatedError(type(error).__name__) from error


class TokenVerifier:
    """Checks tokens against a file.

    Without a file every token is refused: there is no open mode.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._version: _Version | None = None
        self._trust: Trust | None = None

    def verify(self, authorization: str | None) -> None:
        """Checks the value of the metadata field `authorization`. Raises UnauthenticatedError."""
        trust = self._current_trust()
        if trust is None:
            raise UnauthenticatedError("no usable control-auth.json")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("no bearer token")
        check_token(token, trust)

    def _current_trust(self) -> Trust | None:
        version = _version(self._path)
        if version != self._version:
            self._version = version
            self._trust = _load(self._path) if self._path and version else None
        return self._trust


class AsyncAuthInterceptor(AsyncInterceptor):
    """Refuses every call but health checks unless its token is right. For grpc.aio servers."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Passes the call on, or answers it with UNAUTHENTICATED before a message is read."""
        if _is_allowed(self._verifier, handler_call_details):
            return await continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse_async)


class AuthInterceptor(Interceptor):
    """The same for servers with threads."""

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Passes the call on, or answers it with UNAUTHENTICATED before a message is read."""
        if _is_allowed(self._verifier, handler_call_details):
            return continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)


def _is_allowed(verifier: TokenVerifier, call: grpc.HandlerCallDetails) -> bool:
    if call.method.startswith(_OPEN_PREFIX):
        return True
    try:
        verifier.verify(_authorization(call.invocation_metadata))
    except UnauthenticatedError as error:
        log.warning("Refused a control call", extra={"method": call.method, "reason": str(error)})
        return False
    return True


def _authorization(metadata: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    values = [value for key, value in metadata or () if key == "authorization"]
    return values[0] if len(values) == 1 and isinstance(values[0], str) else None


async def _refuse_async(_requests: Any, context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)


def _refuse(_requests: Any, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)


def _version(path: Path | None) -> _Version | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(path: Path) -> Trust | None:
    try:
        trust = parse_trust(path.read_bytes())
    except (OSError, ValueError) as error:
        log.error("Could not use the control trust", extra={"reason": str(error)})
        return None
    log.info("Loaded the control trust", extra={"keys": len(trust.keys), "issuer": trust.issuer})
    return trust
