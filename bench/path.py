"""`make bench`: the figures of the path from `kubectl apply` to a streamed answer.

Needs the local cluster (or an existing one, as the demo) for the part on Kubernetes.
"""

import argparse
import json
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
from bench.overhead import Workload

ROOT = Path(__file__).resolve().parent.parent
DEMO_MODEL = ROOT / "examples" / "demo-model" / "model"


def main() -> None:
    """Measures what is asked for and writes build/bench/path.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["images", "cluster", "overhead"])
    only = parser.parse_args().only
    parts = {"overhead": overhead_figures, "cluster": cluster_figures, "images": image_figures}
    measured: list[Figure] = []
    console = Console(stderr=True)
    for name, part in parts.items():
        if only in (None, name):
            console.print(f"[bold cyan]Measuring: {name}[/bold cyan]")
            measured += part()
    figures.show("The real path, end to end", measured, Console())
    Console().print(f"Written: {figures.write('path', measured).relative_to(ROOT)}")


def image_figures() -> Iterator[Figure]:
    """Sizes of the images that `make images` built, in MB (10^6 bytes)."""
    found = json.loads((ROOT / "build" / "images.json").read_text())
    for name, limit in (("operator", 320), ("runtime", 450), ("exporter", None)):
        sizes = found[name]
        yield Figure(f"{name} image, unpacked", sizes["unpackedBytes"] / 1e6, "MB", limit)
        yield Figure(f"{name} image, compressed", sizes["compressedBytes"] / 1e6, "MB")


def cluster_figures() -> Iterator[Figure]:
    """The demo's time to the first answer, and what the operator and the pods need."""
    start = time.monotonic()
    stage = target.prepare()
    answer = cluster.first_answer(stage)
    yield Figure("demo, warm caches: first answer", time.monotonic() - start, "s", 120)
    if not answer:
        raise SystemExit("the demo model gave no answer")
    api = cluster.connect(stage)
    with processor.watched() as idle:
        children = cluster.apply_to_children_p95(stage, api)
        ready = cluster.runtime_ready_seconds(stage, api)
    yield Figure("apply to export Job, p95 of 20", children, "ms", 250)
    yield Figure("runtime ready after its container started", ready, "s", 3)
    yield Figure("operator, resident memory", cluster.resident_megabytes(stage), "MB", 120)
    yield Figure(
        "idle CPU during the cluster figures (below 10: invalid)",
        idle.percent,
        "%",
        processor.IDLE_LIMIT_PERCENT,
        "higher",
    )


def overhead_figures() -> Iterator[Figure]:
    """What gRPC and the scheduler add to a bare loop, on the 0.5B shape and on the demo model."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, artifact = Path(folder, "checkpoint"), Path(folder, "artifact")
        shapes.write_checkpoint(shapes.HALF_BILLION, checkpoint)
        _export(checkpoint, artifact)
        for requests in (1, 8):
            found = overhead.measure(artifact, Workload(requests, 64, 24), rounds=3)
            yield Figure(
                f"gRPC and scheduler, 0.5B shape fp32, {requests} streams",
                found.percent,
                "%",
                5,
                peers={
                    "bare tok/s": found.generated / found.bare,
                    "served tok/s": found.generated / found.served,
                },
            )
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder, "artifact")
        _export(DEMO_MODEL, artifact)
        for requests in (1, 8):
            found = overhead.measure(artifact, Workload(requests, 64, 256), rounds=5)
            yield Figure(
                f"gRPC and scheduler, demo model, {requests} streams",
                found.microseconds_per_token,
                "us/token",
                peers={
                    "bare tok/s": found.generated / found.bare,
                    "served tok/s": found.generated / found.served,
                },
            )


def _export(checkpoint: Path, artifact: Path) -> None:
    command = [sys.executable, "-m", "llm_runtime", "export", str(checkpoint), str(artifact)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
