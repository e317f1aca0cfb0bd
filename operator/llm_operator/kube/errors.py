"""What can go wrong between us and the API server; aiohttp's and the client library's types end
here.

    KubeError
    ├── UnreachableError        no answer: refused, reset, name not found, TLS, deadline passed
    ├── StreamBrokenError       an answer that is not what the protocol says: garbage, cut mid-line
    ├── WatchFailedError        a watch that reconnecting does not heal: the process must end
    ├── NotLeaderError          our own fence refused a write before it was sent
    └── AnsweredError           the server said no; carries status, reason and message
        ├── InvalidError            400, 422: the object is wrong; retrying does not help
        ├── ForbiddenError          401, 403: the chart's RBAC does not fit, or a namespace ends
        ├── NotFoundError           404
        ├── ConflictError           409: somebody else was faster; look again
        ├── GoneError               410: the resource version or the continue token is too old
        ├── ThrottledError          429; `retry_after` is what the server asked for
        └── ServerFailedError       5xx
"""

from collections.abc import Mapping
from typing import Any

MESSAGE_LIMIT = 1024
"""Characters kept of a server's message: an error ends in a log line and must stay one."""


class KubeError(Exception):
    """Anything that went wrong between us and the API server."""

    retry_after: float | None = None
    """Seconds that the server asked us to wait."""
    made_progress = False
    """Whether the run that ended with this had written something before."""
    about: str = ""
    """Kind and name of the child whose write ended with this."""


class UnreachableError(KubeError):
    """The request got no answer within its deadline."""


class StreamBrokenError(KubeError):
    """The watch delivered something that is not an event."""


class WatchFailedError(KubeError):
    """The watch delivered an unknown error, or is blind: only a new process can help."""


class NotLeaderError(KubeError):
    """The write was not sent: another operator may be leading."""


class AnsweredError(KubeError):
    """The server answered with an error status."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after: float | None = None):
        self.status = status
        self.reason = str(body.get("reason") or "")
        self.message = str(body.get("message") or "")[:MESSAGE_LIMIT]
        self.retry_after = retry_after
        super().__init__(f"{status} {self.reason}: {self.message}")


class InvalidError(AnsweredError):
    """400 or 422."""


class ForbiddenError(AnsweredError):
    """401 or 403."""


class NotFoundError(AnsweredError):
    """404."""


class ConflictError(AnsweredError):
    """409."""


class GoneError(AnsweredError):
    """410."""


class ThrottledError(AnsweredError):
    """429."""


class ServerFailedError(AnsweredError):
    """5xx."""


_BY_STATUS: Mapping[int, type[AnsweredError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: ThrottledError,
}


def answered(
    status: int, body: Mapping[str, Any], retry_after: float | None = None
) -> AnsweredError:
    """The error for an HTTP status >= 400 (or the `code` of an ERROR frame) and its Status
    object."""
    default = ServerFailedError if status >= 500 else AnsweredError
    return _BY_STATUS.get(status, default)(status, body, retry_after)
