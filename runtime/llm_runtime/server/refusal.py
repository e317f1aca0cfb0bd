"""A call that is not served: status code, a sentence for the caller, and when to try again."""

import grpc


class RefusedError(Exception):
    """Becomes the call's status. The message never repeats prompts, paths or tokens."""

    def __init__(
        self, code: grpc.StatusCode, message: str, *, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_ms = retry_after_ms


def invalid(field: str, problem: str) -> RefusedError:
    """INVALID_ARGUMENT that names the field by its path, such as `sampling.top_p`."""
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"{field} {problem}")
