"""`make bench-autoscaling`: how fast pods follow load on a real cluster, and whether calls survive.

Needs the local cluster, or an existing one as the demo; its nodes' clocks must agree with this
machine's, because the load generator's events and the watch's are compared.
"""

import argparse
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from demo import story, target
from demo.kubectl import CommandError
from demo.load_pod import LoadPod, Run
from rich.console import Console

from bench import cluster, fetch_rate, figures, processor
from bench.figures import Figure
from bench.timeline import ColdStart, PodLife, Sample, most_wanted, reached, transitions
from bench.watcher import Watcher

ROOT = Path(__file__).resolve().parent.parent
NAME = "bench-autoscaling"
SLOTS, UTILIZATION, MOST_PODS = 4, 85, 4
FEW_STREAMS, MANY_STREAMS = 1, 10
REQUESTS, TRANSITIONS = 10_000, 20
MOST_CYCLES = 15
ACTIVATIONS = 5
WAIT_SECONDS = 180.0


@dataclass(slots=True)
class Bench:
    """Where it is measured, and what all load together came to."""

    stage: story.Stage
    load: LoadPod
    watcher: Watcher
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def until(self, pods: int) -> None:
        """Returns when so many pods are wanted and ready, and no more."""
        if not self.watcher.wait(lambda last: last.wanted == pods == last.ready, WAIT_SECONDS):
            raise TimeoutError(f"no {pods} pods after {WAIT_SECONDS:.0f} s: {self._state()}")

    def _state(self) -> str:
        wish = self.watcher.samples[-1] if self.watcher.samples else None
        return f"{wish}, {story.blocker(self.stage)}"

    def note(self, report: dict[str, Any]) -> None:
        """Adds a run to the sums."""
        total = report["total"]
        self.counts.update({name: total[name] for name in ("sent", "answered", "lost", "cut")})
        self.errors.update(total["errors"])

    @contextmanager
    def flowing(self, streams: int) -> Iterator[None]:
        """Short answers of mixed lengths flow during the block, each call over a new connection."""
        phase = f"closed:streams={streams},seconds=3600"
        shape = ("--prompt-tokens", "8", "--output-tokens", "uniform:low=4,high=48")
        with self.load.running(self.stage.target, "--phase", phase, *shape, *_CALL) as run:
            yield
        self.note(run.events[-1])


_CALL = ("--connections", "call", "--timeout", "120")
"""As many independent applications call: new connections find new pods at once."""


def main() -> None:
    """Measures and writes build/bench/autoscaling.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["step", "activation", "transitions", "fetch"])
    chosen = parser.parse_args()
    measured: list[Figure] = []
    console = Console(stderr=True)
    with _prepared() as bench:
        for name, part in PARTS.items():
            if chosen.only in (None, name):
                console.print(f"[bold cyan]Measuring: {name}[/bold cyan]")
                measured += part(bench)
    figures.show("Autoscaling on real pods", measured, Console())
    Console().print(f"Written: {figures.write('autoscaling', measured).relative_to(ROOT)}")


@contextmanager
def _prepared() -> Iterator[Bench]:
    """A cluster with the chart, the load generator's pod and an LLMDeployment that was Ready."""
    stage = replace(target.prepare(), name=NAME)
    story.install(stage)
    story.serve_hub(stage)
    load = LoadPod(stage.kubectl, stage.namespace)
    load.start(stage.images.runtime)
    story.remove(stage)
    stage.kubectl.apply(json.dumps(manifest(stage.name)), "-n", stage.namespace)
    watcher = Watcher(stage, cluster.connect(stage))
    try:
        story.watch_until(stage, story.is_ready, print, WAIT_SECONDS)
        with watcher.watching():
            yield Bench(stage, load, watcher)
    finally:
        story.remove(stage)
        load.remove()


def manifest(name: str) -> dict[str, Any]:
    """Small pods, so that more of them are more capacity on two cores, and short windows."""
    limits = {"cpu": "300m", "memory": "512Mi"}
    scaling = {
        "minReplicas": 0,
        "maxReplicas": MOST_PODS,
        "targets": {"utilization": UTILIZATION},
        "stableWindowSeconds": 6,
        "scaleDown": {"stabilizationWindowSeconds": 0},
        "scaleToZero": {"afterSeconds": 5},
    }
    return {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": {"uri": "hf://llm-operator/demo-model@main"}},
            "runtime": {
                "device": "cpu",
                "maxConcurrentSequences": SLOTS,
                "resources": {"limits": limits},
            },
            "autoscaling": scaling,
            "drain": {"timeoutSeconds": 60},
        },
    }


def pods_for(streams: int) -> int:
    """ceil(demand / target) for a closed loop of equal streams.

    Demand is streams, target the slots of a pod times the utilization: 10 / (4 * 0.85) -> 3.
    """
    return math.ceil(streams * 100 / (SLOTS * UTILIZATION))


def step_figures(bench: Bench) -> Iterator[Figure]:
    """A closed-loop step of ten times the streams of fixed length."""
    seconds = 60
    phases = (
        "--phase", f"closed:streams={FEW_STREAMS},seconds=45",
        "--phase", f"closed:streams={MANY_STREAMS},seconds={seconds}",
    )  # fmt: skip
    shape = ("--prompt-tokens", "32", "--output-tokens", "96")
    with processor.watched() as idle:
        run = bench.load.play(bench.stage.target, *phases, *shape, *_CALL, seconds=400)
    bench.note(run.events[-1])
    began = _phases(run)[1]["at"]
    yield from step(bench.watcher.samples, began, seconds, pods_for(MANY_STREAMS))
    many = run.events[-1]["phases"][1]
    yield Figure("step: tokens served", many["tokens_per_second"], "token/s", better="higher")
    yield Figure("step: time to first token, p99", many["first_token_seconds"]["p99"], "s")
    yield Figure("step: idle CPU", idle.percent, "%", better="higher")


def step(samples: list[Sample], began: float, seconds: float, wanted: int) -> Iterator[Figure]:
    """How far the decided number is off, and how long the decision took where it was made."""
    most = most_wanted(samples, began, began + seconds)
    name = f"step {FEW_STREAMS} to {MANY_STREAMS} streams"
    off = abs(most - wanted)
    yield Figure(f"{name}: pods wanted, off ceil(demand / target) = {wanted}", off, "pods", 0)
    decided = reached(samples, wanted, began)
    if decided is not None:
        yield Figure(f"{name}: decided", decided, "s", 4)


def activation_figures(bench: Bench) -> Iterator[Figure]:
    """What a call to a deployment at zero waits for."""
    found = [activate(bench) for _ in range(ACTIVATIONS)]
    added = [activation.added for activation in found]
    first = [activation.answered - activation.asked for activation in found]
    starts = [activation.life_seconds for activation in found]
    yield Figure("activation: added to the pod's own start", 1e3 * _median(added), "ms", 50)
    yield Figure("activation: asked to first token", _median(first), "s")
    yield Figure("activation: pod seen to pod ready", _median(starts), "s")
    cold = [activation.cold for activation in found if activation.cold is not None]
    for part in ColdStart.__slots__ if cold else ():
        seconds = _median([getattr(start, part) for start in cold])
        yield Figure(f"cold start: {part}", seconds, "s")


@dataclass(frozen=True, slots=True)
class Activation:
    """One call from zero. Times are seconds since the epoch; warm is a later first token's time."""

    asked: float
    answered: float
    warm: float
    life: PodLife
    cold: ColdStart | None

    @property
    def life_seconds(self) -> float:
        """The pod's own start."""
        return (self.life.ready or math.nan) - self.life.created

    @property
    def added(self) -> float:
        """Seconds before the pod was there and after it was ready, without the answer's own."""
        return self.answered - self.asked - self.life_seconds - self.warm


def activate(bench: Bench) -> Activation:
    """Waits for zero, asks once, and then a few times more for the warm time."""
    bench.until(0)
    phases = (
        "--phase", "closed:streams=1,requests=1",
        "--phase", "closed:streams=1,requests=10",
    )  # fmt: skip
    shape = ("--prompt-tokens", "8", "--output-tokens", "4")
    known = set(bench.watcher.lives)
    run = bench.load.play(bench.stage.target, *phases, *shape, *_CALL, seconds=WAIT_SECONDS)
    bench.note(run.events[-1])
    life = bench.watcher.youngest()
    if life is None or life.name in known or life.ready is None:
        raise CommandError("a call was answered at zero, but no new ready pod was seen")
    first, then = (phase["first_token_seconds"] for phase in run.events[-1]["phases"])
    asked = _phases(run)[0]["at"]
    return Activation(asked, asked + first["max"], then["p50"], life, _cold_start(bench, life))


def many_figures(bench: Bench) -> Iterator[Figure]:
    """Calls that flow while the deployment goes up, down and to zero, again and again."""
    began = time.time()
    bench.until(0)
    for _ in range(MOST_CYCLES):
        _cycle(bench)
        moved = transitions(s for s in bench.watcher.samples if s.at >= began)
        if bench.counts["sent"] >= REQUESTS and moved.total >= TRANSITIONS:
            break
    counts = bench.counts
    for name, count in (("up", moved.up), ("down", moved.down), ("to zero", moved.zero)):
        yield Figure(f"transitions {name}", count, "", better="higher")
    yield Figure("transitions", moved.total, "", TRANSITIONS, "higher")
    yield Figure("requests", counts["sent"], "", REQUESTS, "higher")
    yield Figure("requests lost: no answer and no error", counts["lost"], "", 0)
    errors, unanswered = dict(bench.errors), counts["sent"] - counts["answered"]
    yield Figure("requests not answered", unanswered, "", 0, peers=errors)
    yield Figure("answers cut after their first token", counts["cut"], "", 0)


def fetch_figures(bench: Bench) -> Iterator[Figure]:
    """The fetch of an artifact next to a bare download, from the chart's registry on this machine.

    Nothing where the cluster is not this machine's: its registry cannot be reached from here.
    """
    address = bench.stage.registry_address
    if address:
        rate = fetch_rate.measure(f"{address}:5000")
        peers = {"bare download": rate.bare / 1e6}
        yield Figure("fetch", rate.fetched / 1e6, "MB/s", better="higher", peers=peers)
        yield Figure("fetch, of what disk and network give", rate.percent, "%", 80, "higher")


PARTS = {
    "step": step_figures,
    "activation": activation_figures,
    "transitions": many_figures,
    "fetch": fetch_figures,
}


def _cycle(bench: Bench) -> None:
    """Zero, few, many, few, zero."""
    with bench.flowing(FEW_STREAMS):
        bench.until(pods_for(FEW_STREAMS))
        with bench.flowing(MANY_STREAMS - FEW_STREAMS):
            bench.until(pods_for(MANY_STREAMS))
        bench.until(pods_for(FEW_STREAMS))
    bench.until(0)


def _cold_start(bench: Bench, life: PodLife) -> ColdStart | None:
    pod = ("logs", life.name, "-n", bench.stage.namespace, "--timestamps", "-c")
    return ColdStart.of(
        life, bench.stage.kubectl(*pod, "fetch"), bench.stage.kubectl(*pod, "runtime")
    )


def _phases(run: Run) -> list[dict[str, Any]]:
    return [event for event in run.events if event["event"] == "phase"]


def _median(values: list[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
