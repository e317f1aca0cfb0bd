"""Logs: one JSON object per line, whatever is in the text.

`json.dumps` escapes control characters, so that nothing a user wrote into an object can forge a
line. Values of `extra=` become fields; fields whose name speaks of a secret are masked.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

TEXT_LIMIT = 4096
"""Characters kept of one value."""
SECRET_WORDS = ("token", "secret", "password", "authorization", "credential")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as `{"time", "level", "logger", "message", ...extra, "exception"}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:TEXT_LIMIT],
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                line.setdefault(name, _value(name, value))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = "".join(traceback.format_exception(record.exc_info[1]))[
                -TEXT_LIMIT:
            ]
        return json.dumps(line, default=str)


def _value(name: str, value: object) -> object:
    if any(word in name.lower() for word in SECRET_WORDS):
        return "***"
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:TEXT_LIMIT]


def configure(level: str, stream: TextIO = sys.stderr) -> None:
    """Makes the root logger write JSON lines at `level`; kopf's chatter only from WARNING on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
