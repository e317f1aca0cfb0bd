"""What a call does about a try that failed. Pure.

Channels that the caller chose wait for a connection by themselves. Those to a model fail at once
without one, for two reasons: there may be another way by now, and gRPC never sends a waiting call
off that began before the control plane had told of the model.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from llm_client.errors import LLMError, error_of, is_unknown, unknown, unreachable


@dataclass(frozen=True, slots=True)
class Failure:
    """How a try ended.

    Attributes:
        code: name of the status.
        details: its text.
        trailing: its metadata.
        is_down: the channel wants a connection and has none.
        has_begun: some of the answer has arrived.
    """

    code: str
    details: str
    trailing: Iterable[tuple[str, str | bytes]] = ()
    is_down: bool = False
    has_begun: bool = False


@dataclass(slots=True)
class Tries:
    """One call.

    Attributes:
        name: whom it calls, for messages.
        ends: its deadline (monotonic clock).
        spare: tries after a refusal through a connection, beyond those that gRPC makes by itself.
            One is needed when the connection came back just after the try had missed it.
        why: what the last try without a connection said.
    """

    name: str
    ends: float
    spare: int = 1
    why: str = field(default="", init=False)

    def verdict(self, failure: Failure, now: float, *, waits: bool) -> LLMError | None:
        """What the caller gets; None when another try makes sense.

        waits: the channel waits for connections by itself.
        """
        is_over = now >= self.ends
        if not failure.has_begun:
            if self._is_without_connection(failure, is_over):
                return unreachable(self.name, self.why)
            if failure.code == "UNAVAILABLE" and not waits and not is_over:
                return self._of_try(failure)
        return _error(failure, is_over)

    def _is_without_connection(self, failure: Failure, is_over: bool) -> bool:
        if failure.code == "DEADLINE_EXCEEDED":
            return failure.is_down
        return is_over and failure.code == "UNAVAILABLE" and bool(self.why)

    def _of_try(self, failure: Failure) -> LLMError | None:
        if is_unknown(failure.details):
            return unknown(self.name)
        if failure.is_down:
            self.why = failure.details
            return None
        self.spare -= 1
        return None if self.spare >= 0 else _error(failure)


def _error(failure: Failure, is_over: bool = False) -> LLMError:
    return error_of(failure.code, failure.details, failure.trailing, is_over=is_over)
