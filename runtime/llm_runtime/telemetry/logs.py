"""Logs as one JSON object per line on standard error.

Field values are cut, control characters escaped.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

_LONGEST_FIELD = 256
# What every LogRecord has; the rest came as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One line per record: time, level, logger, message, and the fields given as `extra`.

    `constant` are fields of every line; those that are empty are left out.
    """

    def __init__(self, constant: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._constant = {name: _cut(value) for name, value in (constant or {}).items() if value}

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line; a traceback keeps its length, other fields are cut."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:_LONGEST_FIELD],
            **self._constant,
        }
        for name, value in vars(record).items():
            if name not in _OWN:
                line[name] = _cut(value)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def configure(level: str, constant: Mapping[str, str] | None = None) -> None:
    """Sends everything from `level` on to standard error, with the `constant` fields."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(constant))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _cut(value: object) -> object:
    return value if isinstance(value, int | float) else str(value)[:_LONGEST_FIELD]
