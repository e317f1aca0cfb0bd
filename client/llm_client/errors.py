"""What can go wrong with a call.

No gRPC type leaks; `code` keeps the status' name for those who need it.

LLMError
    InvalidRequestError     the request is wrong; the message names the field and the limit
    ModelNotFoundError      the name is not served there
    OverloadedError         the queue is full; `retry_after` says when to try again
    UnavailableError        nobody answers, or the server went away in the middle of an answer
    TimedOutError           the deadline passed
    ServerError             the server failed
"""

import re
from collections.abc import Iterable


class LLMError(Exception):
    """A call that was not answered.

    Attributes:
        code: name of the gRPC status, such as "UNAVAILABLE".
        message: the server's sentence.
        retry_after: seconds after which another try makes sense, when the server said so.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry_after = retry_after


class InvalidRequestError(LLMError):
    """The request is wrong; the message names the field and the limit."""


class ModelNotFoundError(LLMError):
    """The name is not served there."""


class OverloadedError(LLMError):
    """The queue is full; `retry_after` says when to try again."""


class UnavailableError(LLMError):
    """Nobody answers, or the server went away in the middle of an answer."""


class TimedOutError(LLMError):
    """The deadline passed."""


class ServerError(LLMError):
    """The server failed."""


_REASON_CHARACTERS = 300
_UNKNOWN = re.compile("LDS resource [^ ]+: does not exist|could not find VirtualHost")

_KINDS: dict[str, type[LLMError]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "NOT_FOUND": ModelNotFoundError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": TimedOutError,
    "INTERNAL": ServerError,
    "UNKNOWN": ServerError,
}


def error_of(
    code: str,
    details: str | None,
    trailing: Iterable[tuple[str, str | bytes]] | None,
    *,
    is_over: bool = False,
) -> LLMError:
    """The error for a status, its text and its trailing metadata.

    is_over: the deadline has passed. A server that shuts down sees it, too, and closes the
    connection; which of the two ends the call first is chance.
    """
    if is_over and code == "UNAVAILABLE":
        code = "DEADLINE_EXCEEDED"
    hints = [value for key, value in trailing or () if key == "retry-after-ms"]
    after = float(hints[0]) / 1000 if hints else None
    return _KINDS.get(code, LLMError)(code, details or "", after)


def unreachable(name: str, why: str = "") -> UnavailableError:
    """The error for a deadline that passed without a connection; `why` is what gRPC said last."""
    reason = f": {why[:_REASON_CHARACTERS]}" if why else ""
    return UnavailableError("UNAVAILABLE", f"No connection to {name} in time{reason}")


def unknown(name: str) -> ModelNotFoundError:
    """The error for a name, as NAME.NAMESPACE, that the control plane has nothing for."""
    return ModelNotFoundError(
        "NOT_FOUND", f"No LLMDeployment {name}: the control plane knows none of that name"
    )


def is_unknown(details: str) -> bool:
    """Whether gRPC says by this that the control plane has no such name.

    A listener that is gone or was never sent (for 15 s), or a route without anything for the name.
    """
    return _UNKNOWN.search(details) is not None
