"""`make bench-autoscaling`: how fast pods follow load on a real cluster, and whether calls survive.

Needs the local cluster, or an existing one as the demo; its nodes' clocks must agree with this
machine's, because the load generator's events and the watch's are compared.
"""

import asyncio
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

from bench import activator, cluster, fetch_rate, idle_fleet, processor
from bench.figures import Figure
from bench.parts import Benchmark
from bench.timeline import (
    Activation,
    ColdStart,
    PodLife,
    Sample,
    Transitions,
    first_after,
    most_wanted,
    reached,
    transitions,
)
from bench.watcher import Watcher

ROOT = Path(__file__).resolve().parent.parent
NAME = "bench-autoscaling"
SLOTS, UTILIZATION, MOST_PODS = 4, 85, 4
FEW_STREAMS, MANY_STREAMS = 1, 10
REQUESTS, TRANSITIONS = 10_000, 20
MOST_CYCLES = 20
SMALL_CPU = "300m"
ACTIVATIONS = 5
REST_SECONDS = 5.0
"""After the last pod has gone, for what the cluster's controllers still do about it."""
PUSH_SERVICE = "llm-operator-registry-push"
WAIT_SECONDS = 180.0


@dataclass(slots=True)
class Bench:
    """Where it is measured, and what the load of its present part came to."""

    stage: story.Stage
    load: LoadPod
    watcher: Watcher
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def until(self, pods: int) -> None:
        """Returns when so many pods are wanted and ready, and none is left that drains: a call
        would bring it back, and no pod would start."""
        if not self.watcher.wait(
            lambda last: last.wanted == last.ready == last.pods == pods, WAIT_SECONDS
        ):
            raise TimeoutError(f"no {pods} pods after {WAIT_SECONDS:.0f} s: {self._state()}")

    def until_more(self, pods: int) -> None:
        """Returns when more than so many pods are wanted and all of them are ready."""
        if not self.watcher.wait(
            lambda last: (last.wanted or 0) > pods and last.ready == last.wanted, WAIT_SECONDS
        ):
            raise TimeoutError(
                f"no more than {pods} pods after {WAIT_SECONDS:.0f} s: {self._state()}"
            )

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
        shape = (
            "--prompt-tokens",
            "uniform:low=16,high=192",
            "--output-tokens",
            "uniform:low=2,high=24",
        )
        with self.load.running(self.stage.target, "--phase", phase, *shape, *_CALL) as run:
            yield
        self.note(run.events[-1])


_CALL = ("--connections", "call", "--timeout", "120")
"""As many independent applications call: new connections find new pods at once."""


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
    limits = {"cpu": SMALL_CPU, "memory": "512Mi"}
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
    shape = ("--prompt-tokens", "256", "--output-tokens", "32")
    run = bench.load.play(bench.stage.target, *phases, *shape, *_CALL, seconds=400)
    bench.note(run.events[-1])
    began = _phases(run)[1]["at"]
    yield from step(bench.watcher.samples, began, seconds, pods_for(MANY_STREAMS))
    many = run.events[-1]["phases"][1]
    yield Figure("step: tokens served", many["tokens_per_second"], "token/s", better="higher")
    yield Figure("step: time to first token, p99", many["first_token_seconds"]["p99"], "s")


def step(samples: list[Sample], began: float, seconds: float, wanted: int) -> Iterator[Figure]:
    """How far the decided number is off, and how long the decision took where it was made."""
    most = most_wanted(samples, began, began + seconds)
    name = f"step {FEW_STREAMS} to {MANY_STREAMS} streams"
    off = abs(most - wanted)
    yield Figure(f"{name}: pods wanted, off ceil(demand / target) = {wanted}", off, "pods", 0)
    decided = reached(samples, wanted, began)
    yield Figure(f"{name}: decided", seconds if decided is None else decided, "s", 4)


def activation_figures(bench: Bench) -> Iterator[Figure]:
    """What a call to a deployment at zero waits for.

    The pod may use a whole CPU: with less it has used up its share when it is ready, and what is
    measured is the wait for the next one.
    """
    _limit_cpu(bench.stage, "1")
    found = [activate(bench) for _ in range(ACTIVATIONS + 1)][1:]  # the first one rolls that out
    _limit_cpu(bench.stage, SMALL_CPU)
    seen = [activation for activation, _ in found]
    added = [activation.added for activation in seen]
    first = [activation.answered - activation.asked for activation in seen]
    asked = [activation.scaled_up - activation.asked for activation in seen]
    starts = [activation.start for activation in seen]
    yield Figure("activation: added to the pod's own start", 1e3 * _median(added), "ms", 50)
    yield Figure("activation: asked to Deployment scaled up", 1e3 * _median(asked), "ms")
    yield Figure("activation: Deployment scaled up to pod in the Service", _median(starts), "s")
    yield Figure("activation: asked to first token", _median(first), "s")
    cold = [start for _, start in found if start is not None]
    for part in ColdStart.__slots__ if cold else ():
        seconds = _median([getattr(start, part) for start in cold])
        yield Figure(f"cold start: {part}", seconds, "s")


def _limit_cpu(stage: story.Stage, limit: str) -> None:
    story.patch_spec(stage, {"runtime": {"resources": {"limits": {"cpu": limit}}}})


def activate(bench: Bench) -> tuple[Activation, ColdStart | None]:
    """Waits for zero and for rest, asks once, and then a few times more for the warm time."""
    bench.until(0)
    time.sleep(REST_SECONDS)
    phases = (
        "--phase", "closed:streams=1,requests=1",
        "--phase", "closed:streams=1,requests=10",
    )  # fmt: skip
    shape = ("--prompt-tokens", "8", "--output-tokens", "4")
    run = bench.load.play(bench.stage.target, *phases, *shape, *_CALL, seconds=WAIT_SECONDS)
    bench.note(run.events[-1])
    asked, watcher = _phases(run)[0]["at"], bench.watcher
    scaled_up = first_after(watcher.scaled_up, asked)
    routable = first_after(watcher.routable, asked)
    life = watcher.youngest()
    if scaled_up is None or routable is None or life is None:
        raise CommandError("a call was answered at zero, but no new ready pod was seen")
    first, then = (phase["first_token_seconds"] for phase in run.events[-1]["phases"])
    seen = Activation(asked, scaled_up, routable, asked + first["max"], then["p50"])
    return seen, _cold_start(bench, life)


def many_figures(bench: Bench) -> Iterator[Figure]:
    """Calls that flow while the deployment goes up, down and to zero, again and again."""
    bench.until(0)
    bench.counts, bench.errors, began = Counter(), Counter(), time.time()
    moved = Transitions()
    for number in range(1, MOST_CYCLES + 1):
        _cycle(bench)
        moved = transitions(s for s in bench.watcher.samples if s.at >= began)
        print(f"  cycle {number}: {bench.counts['sent']} requests, {moved.total} transitions")
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
        push = bench.stage.kubectl.get("service", PUSH_SERVICE, "-n", story.SYSTEM_NAMESPACE)
        rate = fetch_rate.measure(f"{address}:5000", f"{push['spec']['clusterIP']}:5001")
        peers = {"bare download": rate.bare / 1e6}
        yield Figure("fetch", rate.fetched / 1e6, "MB/s", better="higher", peers=peers)
        yield Figure("fetch, of what disk and network give", rate.percent, "%", 80, "higher")


def activator_figures() -> Iterator[Figure]:
    """What the activator's proxy costs, beside a bare pass-through."""
    stage = asyncio.run(activator.measure())
    if not stage.is_valid:
        raise processor.BusyError("other processes used the CPU; wait until they are done")
    for figure in stage.figures():
        yield replace(figure, name=f"activator, {figure.name}")


PARTS = {
    "step": step_figures,
    "activation": activation_figures,
    "transitions": many_figures,
    "fetch": fetch_figures,
}
ALONE = {"activator": activator_figures, "idle fleet": idle_fleet.measure}
"""What needs no cluster, and is measured before there is one."""


def _cycle(bench: Bench) -> None:
    """Zero, few, many, few, zero."""
    few = pods_for(FEW_STREAMS)
    with bench.flowing(FEW_STREAMS):
        bench.until(few)
        with bench.flowing(MANY_STREAMS - FEW_STREAMS):
            bench.until_more(few)
        bench.until(few)
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


BENCHMARK = Benchmark(
    name="autoscaling", about=__doc__, alone=ALONE, parts=PARTS, prepared=_prepared
)

if __name__ == "__main__":
    BENCHMARK.main()
