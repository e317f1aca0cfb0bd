"""Which port an LLMDeployment has on activator pods: its only identity there, so no two share one.

A port lasts beyond this process as an annotation of the Service. Whoever may edit a Service can
write one, so a record by itself takes nothing away from anybody. Pure.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from llm_operator.kube.store import Key
from llm_operator.reconcile.world import Manifest
from llm_operator.render.activation import PORT_ANNOTATION, PORTS


class _Record(NamedTuple):
    """What a Service says; the order tells whose a port is that two of them record."""

    made: str
    key: Key
    port: int


def port_of(key: Key, services: Iterable[Manifest], held: Mapping[Key, int]) -> int:
    """The port of an LLMDeployment: what it was given before (`held`), else the one on record
    unless it is another's, else a free one."""
    if key in held:
        return held[key]
    records = sorted(_records(services))
    taken = set(held.values())
    mine = next((record for record in records if record.key == key), None)
    if mine is not None and mine.port not in taken and _first(records, mine.port) == mine:
        return mine.port
    return free_port(key, {*taken, *(record.port for record in records)})


def free_port(key: Key, taken: set[int]) -> int:
    """A port that nobody has; the first choice follows from the name, so that it tends to stay.

    Raises RuntimeError when all are taken: ten thousand LLMDeployments that scale to zero.
    """
    start = zlib.crc32(str(key).encode()) % len(PORTS)
    for offset in range(len(PORTS)):
        port = PORTS[(start + offset) % len(PORTS)]
        if port not in taken:
            return port
    raise RuntimeError("every activator port is taken")


def _first(records: Iterable[_Record], port: int) -> _Record:
    return next(record for record in records if record.port == port)


def _records(services: Iterable[Manifest]) -> Iterator[_Record]:
    for service in services:
        metadata = service["metadata"]
        port = (metadata.get("annotations") or {}).get(PORT_ANNOTATION, "")
        if port.isdecimal() and int(port) in PORTS:
            key = Key(metadata["namespace"], metadata["name"])
            yield _Record(str(metadata["creationTimestamp"]), key, int(port))
