"""`make bench`: the figures of the path from `kubectl apply` to a streamed answer.

Needs the local cluster (or an existing one, as the demo) for the part on Kubernetes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from demo import target
from rich.console import Console

from bench import cluster, figures, overhead, processor, shapes
from bench.figures import Figure
from bench.overhead import Overhead, Workload

ROOT = Path(__file__).resolve().parent.parent
DEMO_MODEL = ROOT / "examples" / "demo-model" / "model"


def main() -> None:
    """Measures what is asked for and writes build/bench/path.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["images", "cluster", "overhead"])
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md, too")
    chosen = parser.parse_args()
    if chosen.only and chosen.write_docs:
        parser.error("--write-docs needs every part")
    parts = {"overhead": overhead_figures, "cluster": cluster_figures, "images": image_figures}
    measured: list[Figure] = []
    console = Console(stderr=True)
    for name, part in parts.items():
        if chosen.only in (None, name):
            console.print(f"[bold cyan]Measuring: {name}[/bold cyan]")
            measured += part()
    figures.show("The real path, end to end", measured, Console())
    Console().print(f"Written: {figures.write('path', measured).relative_to(ROOT)}")
    if chosen.write_docs:
        figures.write_page(ROOT / "docs" / "benchmarks.md", "make bench", measured)


def image_figures() -> Iterator[Figure]:
    """Sizes of the images that `make images` built, in MB (10^6 bytes)."""
    found = json.loads((ROOT / "build" / "images.json").read_text())
    for name, limit in (("operator", 320), ("runtime", 450), ("exporter", None)):
        sizes = found[name]
        yield Figure(f"{name} image, unpacked", sizes["unpackedBytes"] / 1e6, "MB", limit)
        yield Figure(f"{name} image, compressed", sizes["compressedBytes"] / 1e6, "MB")


def cluster_figures() -> Iterator[Figure]:
    """The demo's time to the first answer, and what the operator and the pods need.

    Ends with an error when the machine had too little idle CPU for the figures to mean anything.
    """
    if not target.existing_registry(os.environ):
        target.take_down()
    start = time.monotonic()
    stage = target.prepare()
    yield Figure("cluster and images ready, warm caches", time.monotonic() - start, "s")
    answer = cluster.first_answer(stage)
    yield Figure("demo, warm caches: first answer", time.monotonic() - start, "s", 120)
    if not answer:
        raise SystemExit("the demo model gave no answer")
    api = cluster.connect(stage)
    with processor.watched() as idle:
        children = cluster.apply_to_children_p95(stage, api)
        ready = cluster.runtime_ready_seconds(stage, api)
    if not idle.is_valid:
        raise SystemExit(f"invalid run: only {idle.percent:.0f} % of the CPU was idle")
    yield Figure("apply to the last child, p95 of 20", children, "ms", 250)
    yield Figure("runtime ready after its container started", ready, "s", 3)
    yield Figure("operator, resident memory", cluster.resident_megabytes(stage), "MB", 120)
    yield Figure("idle CPU during the cluster figures", idle.percent, "%", 10, "higher")


def overhead_figures() -> Iterator[Figure]:
    """What gRPC and the scheduler add to a bare loop, on the 0.5B shape and on the demo model."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, artifact = Path(folder, "checkpoint"), Path(folder, "artifact")
        shapes.write_checkpoint(shapes.HALF_BILLION, checkpoint)
        _export(checkpoint, artifact)
        for requests in (1, 8):
            found = overhead.measure(artifact, Workload(requests, 64, 24), rounds=1, pairs=12)
            name = f"0.5B shape fp32, {_streams(requests)}"
            added = f"{name}: added by gRPC and scheduler"
            yield Figure(added, found.percent, "%", 5, interval=found.interval)
            yield _speed(name, found)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder, "artifact")
        _export(DEMO_MODEL, artifact)
        for requests in (1, 8):
            found = overhead.measure(artifact, Workload(requests, 64, 256), rounds=3, pairs=2)
            name, per_token = f"demo model, {_streams(requests)}", found.microseconds_per_token
            yield Figure(f"{name}: added by gRPC and scheduler", per_token, "us/token")
            yield _speed(name, found)


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def _speed(name: str, found: Overhead) -> Figure:
    bare = {"bare loop": found.generated / found.bare}
    speed = found.generated / found.served
    return Figure(f"{name}: served", speed, "token/s", better="higher", peers=bare)


def _export(checkpoint: Path, artifact: Path) -> None:
    command = [sys.executable, "-m", "llm_runtime", "export", str(checkpoint), str(artifact)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
