"""Frames of a watch: bytes in, events out. Pure: no socket, no clock.

The body of a watch is one JSON object per line. Pieces come cut anywhere, also inside of a UTF-8
sequence; `Splitter` gives whole lines, `parse` turns one into an event.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from llm_operator.kube.errors import StreamBrokenError

LINE_LIMIT = 8 * 2**20
"""Bytes of one line. etcd stores at most 1.5 MiB per object, as protobuf; JSON makes it longer."""

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. `object` is a Status for ERROR, and has only a resource version for BOOKMARK."""

    type: EventType
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        return str(self.object["metadata"]["resourceVersion"])


@dataclass(slots=True)
class Splitter:
    """Cuts a stream of pieces into lines. What is left at the end was cut off and is dropped: the
    watch goes on from the last whole event, so the server sends it again."""

    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes. Raises StreamBrokenError on an endless line."""
        self._rest += piece
        *lines, rest = self._rest.split(b"\n") if b"\n" in piece else [self._rest]
        if len(rest) > LINE_LIMIT:
            raise StreamBrokenError(f"A line of the watch is longer than {LINE_LIMIT} bytes")
        self._rest = rest
        yield from (bytes(line) for line in lines if line.strip())


def parse(line: bytes) -> WatchEvent:
    """The event of one line. Raises StreamBrokenError when it is none."""
    try:
        raw = json.loads(line)
        event = WatchEvent(raw["type"], raw["object"])
    except (ValueError, TypeError, KeyError) as error:
        raise StreamBrokenError("A line of the watch is not an event") from error
    if event.type not in get_args(EventType) or not isinstance(event.object, dict):
        raise StreamBrokenError("A line of the watch is not an event of a known type")
    if event.type != "ERROR" and not _has_version(event.object):
        raise StreamBrokenError("An event of the watch has no resource version")
    return event


def _has_version(manifest: dict[str, Any]) -> bool:
    metadata = manifest.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("resourceVersion"), str)
