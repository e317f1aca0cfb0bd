"""How fast `llm-runtime fetch` is next to a bare download of the same blobs to the same disk.

Both write with four threads and wait until the disk has the bytes; the bare one checks nothing.
Rounds alternate, so that a slow minute of the machine hits both.
"""

import http.client
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import shapes
from llm_runtime.export.exporter import ExportRequest, export_model
from llm_runtime.export.manifest import SourceRecord
from llm_runtime.model.artifact import StoredArtifact, fetch, push
from llm_runtime.model.image import read_layers
from llm_runtime.model.reference import Reference, parse_reference
from llm_runtime.model.registry import RegistryOptions, Repository

QUARTER_GIGABYTE = shapes.Shape(8192, 1024, 4096, 4, 16, 4, 2048)
_REPOSITORY = "bench/fetch"
_PLAIN = RegistryOptions(plain_http=True)
_PARALLEL = 4
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Rate:
    """Medians over the rounds, in bytes a second."""

    fetched: float
    bare: float

    @property
    def percent(self) -> float:
        """Of what disk and network gave, what the fetch made."""
        return 100 * self.fetched / self.bare


def measure(registry: str, push_to: str, rounds: int = 3) -> Rate:
    """Stores an artifact of a quarter of a gigabyte in the registry and fetches it both ways.

    registry, push_to: HOST:PORT where it is read and written over plain HTTP. Raises ModelError.
    """
    stored = _stored(push_to)
    source = parse_reference(f"{registry}/{_REPOSITORY}@{stored.digest}")
    layers = read_layers(Repository(source, _PLAIN).manifest(stored.digest)).values()
    size = sum(layer.size for layer in layers)
    digests = [layer.digest for layer in layers]
    bare: list[float] = []
    fetched: list[float] = []
    for _ in range(rounds + 1):  # the first one warms up
        bare.append(size / _seconds(lambda folder: _download(source, digests, folder)))
        fetched.append(size / _seconds(lambda folder: fetch(source, folder, _PLAIN)))
    return Rate(statistics.median(fetched[1:]), statistics.median(bare[1:]))


def _stored(push_to: str) -> StoredArtifact:
    with _folder() as folder:
        shapes.write_checkpoint(QUARTER_GIGABYTE, folder / "checkpoint")
        record = SourceRecord(uri="pvc:///bench", revision="0" * 64)
        export_model(ExportRequest(folder / "checkpoint", folder / "artifact", record))
        return push(folder / "artifact", parse_reference(f"{push_to}/{_REPOSITORY}:rate"), _PLAIN)


def _seconds(work: Callable[[Path], object]) -> float:
    """Time of the work in an empty folder."""
    with _folder() as folder:
        start = time.perf_counter()
        work(folder)
        return time.perf_counter() - start


def _download(source: Reference, digests: list[str], folder: Path) -> None:
    """Every blob into a file, as plainly as it can be done."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for done in pool.map(lambda digest: _blob(source, digest, folder), digests):
            assert done is None


def _blob(source: Reference, digest: str, folder: Path) -> None:
    connection = http.client.HTTPConnection(source.host, timeout=60)
    connection.request("GET", f"/v2/{source.repository}/blobs/{digest}")
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise ConnectionError(f"{source.host} answered {response.status} for {digest}")
    with (folder / digest.removeprefix("sha256:")).open("wb") as file:
        shutil.copyfileobj(response, file, _CHUNK_BYTES)
        file.flush()
        os.fsync(file.fileno())
    connection.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
