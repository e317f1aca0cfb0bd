"""What a container leaves behind: a JSON document of at most 4,096 bytes in its termination log.

The operator reads it from the pod's status; it is the only word it has from the Job.
"""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_runtime.errors import ModelError, Reason

log = logging.getLogger(__name__)

_LIMIT_BYTES = 4096
_ELLIPSIS = "…"

Facts = dict[str, Any]


def run_step(step: str, termination_log: Path | None, work: Callable[[], Facts]) -> Facts | None:
    """Does the work and records how it went; the facts, or None after a failure.

    Errors that nobody foresaw are recorded as ExportFailed with the exception's type; their text
    goes to the log alone, since it may quote what it should not.
    """
    try:
        facts = work()
    except ModelError as error:
        failure = error
        log.error("Step %s failed: %s", step, error)
    except Exception as error:
        log.exception("Step %s failed unexpectedly", step)
        failure = ModelError(
            Reason.EXPORT_FAILED,
            f"an unexpected {type(error).__name__} in step {step}; read the container's log and"
            " report it",
        )
    else:
        _write(termination_log, success_message(step, facts))
        return facts
    _write(termination_log, failure_message(step, failure))
    return None


def success_message(step: str, facts: Facts) -> bytes:
    """The document of a step that did its work."""
    return _encode({"step": step, "ok": True, **facts})


def failure_message(step: str, error: ModelError) -> bytes:
    """The document of a step that failed; a long message is cut so that the whole fits."""
    document = {
        "step": step,
        "ok": False,
        "reason": str(error.reason),
        "message": error.message,
        "retryable": error.retryable,
    }
    encoded = _encode(document)
    if len(encoded) <= _LIMIT_BYTES:
        return encoded
    room = _LIMIT_BYTES - len(_encode(document | {"message": _ELLIPSIS}))
    return _encode(document | {"message": _cut(error.message, room) + _ELLIPSIS})


def _cut(message: str, room: int) -> str:
    """The longest beginning whose JSON form takes at most ``room`` bytes."""
    low, high = 0, len(message)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(json.dumps(message[:middle], ensure_ascii=False).encode()) - 2 <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return message[:low]


def _encode(document: Facts) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")


def _write(path: Path | None, content: bytes) -> None:
    if path is None:
        return
    # The kubelet mounts the file; it is written in place, a rename would leave the mount.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
