"""`make bench-traffic`: how calls are shared among real pods, and what it costs.

Needs the local cluster, whose nodes are this machine: pods are slowed and killed from outside.
"""

import json
import math
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demo import canary, story, target
from demo.kubectl import CommandError
from demo.load_pod import LoadPod

from bench import control_plane, pod_cgroup, shares
from bench.figures import Figure
from bench.parts import Benchmark
from bench.shares import Bucket, Reading

ROOT = Path(__file__).resolve().parent.parent
NAME = "bench-traffic"
CLIENT = ROOT / "bench" / "traffic_client.py"
WAIT_SECONDS = 180.0
SMALL_CPU = "300m"
SLOTS = 4
CANARY_PERCENT = 10
MANY_CALLS, FEW_CALLS = 20_000, 500
CLIENTS = 20
POLICY_SECONDS = 60
CAPACITY_SECONDS = 20
BUSY = 0.8
"""Of what the pods can do: an even share is then too much for the slow one, and they together have
room."""
PATIENCE_SECONDS = 60
MIXED = (
    "--prompt-tokens", "lognormal:median=48,sigma=1.0,high=384",
    "--output-tokens", "uniform:low=1,high=8",
)  # fmt: skip
"""Prompts with a heavy tail. Short answers make many calls: with 20 in five seconds, a pod has half
as many again by chance."""
ENDLESS_QUEUE = {"maxQueue": 10_000, "maxQueuedTokens": 10_000_000}
"""Nobody is refused: whoever waits is measured."""
SLOWED = 1 / 3
WINDOW_SECONDS = 5.0
UNKNOWN_SECONDS = 3.0
SETTLE_SECONDS = 12.0
"""Longer than a weight lasts at a client."""


@dataclass(slots=True)
class Bench:
    """Where it is measured."""

    stage: story.Stage
    load: LoadPod

    @property
    def xds(self) -> str:
        return f"xds:///{self.stage.name}.{self.stage.namespace}"

    def pods(self, revision: str | None = None) -> dict[str, dict[str, Any]]:
        """Ready pods by name."""
        found = filter(story.is_pod_ready, story.runtime_pods(self.stage))
        return {
            pod["metadata"]["name"]: pod
            for pod in found
            if revision in (None, pod["metadata"]["labels"]["llm-operator.dev/revision"])
            and "deletionTimestamp" not in pod["metadata"]
        }

    def scale(self, replicas: int) -> None:
        story.scale(self.stage, replicas)
        story.watch_until(self.stage, story.is_scaled(replicas), _quiet, WAIT_SECONDS)

    def policy(self, name: str) -> None:
        """Clients share calls so from now on, and have forgotten what they knew of loads."""
        story.patch_spec(self.stage, {"routing": {"policy": name}})
        story.watch_until(self.stage, story.is_ready, _quiet, WAIT_SECONDS)
        time.sleep(SETTLE_SECONDS)

    def client(self, *arguments: str) -> Any:
        """A client in the load generator's pod, as a process of its own."""
        process = self.stage.kubectl.start(
            "exec", "-i", "-n", self.stage.namespace, "load", "--",
            "python", "-", *arguments,
        )  # fmt: skip
        if process.stdin:
            process.stdin.write(CLIENT.read_text())
            process.stdin.close()
        return process

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Everything that a client tells."""
        process = self.client(*arguments)
        found = [json.loads(line) for line in process.stdout]
        if process.wait(10):
            raise CommandError(f"the client ended with {process.returncode}: {arguments}")
        return found

    @contextmanager
    def following(self, seconds: float) -> Iterator[list[Bucket]]:
        """Buckets that fill while the block runs, and until so many seconds are over."""
        process = self.client("follow", self.xds, str(seconds))
        buckets: list[Bucket] = []
        first = process.stdout.readline()
        reader = threading.Thread(target=_collect, args=(process, buckets))
        buckets.append(_bucket(first))
        reader.start()
        try:
            yield buckets
            reader.join(seconds + 30)
        finally:
            process.kill()
            reader.join(10)
            process.stdout.close()
            process.wait(10)


def _bucket(line: str) -> Bucket:
    told = json.loads(line)
    return Bucket(told["at"], told["answers"])


def _collect(process: Any, buckets: list[Bucket]) -> None:
    for line in process.stdout:
        buckets.append(_bucket(line))


def _quiet(_line: str) -> None:
    """Nobody watches the table."""


@contextmanager
def _prepared() -> Iterator[Bench]:
    """A cluster with the chart, the load generator's pod and an LLMDeployment that is Ready."""
    stage = replace(target.prepare(), name=NAME)
    story.install(stage)
    story.serve_hub(stage)
    load = LoadPod(stage.kubectl, stage.namespace)
    load.start(stage.images.runtime)
    story.remove(stage)
    stage.kubectl.apply(json.dumps(manifest(stage.name)), "-n", stage.namespace)
    try:
        story.watch_until(stage, story.is_ready, print, WAIT_SECONDS)
        yield Bench(stage, load)
    finally:
        story.remove(stage)
        load.remove()


def manifest(name: str) -> dict[str, Any]:
    """Small pods, so that three of them and their clients leave some CPU idle."""
    limits = {"cpu": SMALL_CPU, "memory": "512Mi"}
    return {
        "apiVersion": "llm-operator.dev/v1alpha1",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": {"uri": "hf://llm-operator/demo-model@main"}},
            "replicas": 1,
            "runtime": {
                "device": "cpu",
                "maxConcurrentSequences": SLOTS,
                "resources": {"limits": limits},
                **ENDLESS_QUEUE,
            },
            "routing": {"policy": "RoundRobin"},
            "drain": {"timeoutSeconds": 30},
        },
    }


def latency_figures(bench: Bench) -> Iterator[Figure]:
    """A call through an xDS channel and one straight to the only pod, in turns."""
    bench.scale(1)
    (pod,) = bench.pods().values()
    direct = f"{pod['status']['podIP']}:50051"
    (told,) = bench.lines("compare", bench.xds, direct, "4000")
    through, straight = told["medians"]
    name = "xDS channel beside a direct one: added per call"
    yield Figure(name, 100 * (through / straight - 1), "%", 2)
    yield Figure(
        "call through an xDS channel, p50", 1e3 * through, "ms", peers={"direct": 1e3 * straight}
    )


def weight_figures(bench: Bench) -> Iterator[Figure]:
    """A canary's share of many calls, of few, and how soon another share holds."""
    bench.scale(2)
    steps: list[dict[str, Any]] = [
        {"setWeight": CANARY_PERCENT},
        {"pause": {}},
        {"setWeight": 90},
        {"pause": {}},
    ]
    canary.begin(bench.stage, steps)
    story.watch_until(bench.stage, canary.is_paused(CANARY_PERCENT), _quiet, WAIT_SECONDS)
    new = str(story.deployment(bench.stage)["status"]["currentRevision"])
    pods = tuple(bench.pods(new))
    for calls in (MANY_CALLS, FEW_CALLS):
        (told,) = bench.lines("count", bench.xds, str(calls))
        name = f"share of {CANARY_PERCENT} % over {calls} calls: off"
        if calls == MANY_CALLS:
            points = shares.points_off(told["answers"], pods, CANARY_PERCENT)
            yield Figure(name, points, "points", 1)
        else:
            sigmas = shares.sigmas_off(told["answers"], pods, CANARY_PERCENT)
            yield Figure(name, sigmas, "standard deviations", 3)
    yield from _change(bench, new)
    canary.promote(bench.stage)
    story.watch_until(bench.stage, canary.is_complete, _quiet, WAIT_SECONDS)


def _change(bench: Bench, new: str) -> Iterator[Figure]:
    """From the moment at which the status says 90 % to the first half second that shows it."""
    with bench.following(45) as buckets:
        time.sleep(3)
        canary.promote(bench.stage)
        written = _wait_for_percent(bench, 90)
        time.sleep(8)
        pods = tuple(bench.pods(new))
    found = shares.reached(buckets, pods, 0.8, written)
    if found is None:
        raise CommandError("the new share never showed")
    yield Figure("another share: from the status to the calls", found, "s", 1)
    errors = sum(bucket.errors for bucket in buckets)
    yield Figure("another share: calls that failed", errors, "", 0)


def _wait_for_percent(bench: Bench, percent: int) -> float:
    """When the status says so, in seconds since the epoch."""
    deadline = time.time() + WAIT_SECONDS
    while time.time() < deadline:
        rollout = story.deployment(bench.stage)["status"].get("rollout") or {}
        if (rollout.get("weights") or {}).get("canaryPercent") == percent:
            return time.time()
        time.sleep(0.05)
    raise TimeoutError(f"the share never became {percent} %")


def policy_figures(bench: Bench) -> Iterator[Figure]:
    """Three pods, one of them with a third of its CPU; clients that know nothing of each other.

    Requests come as they come, whatever pods do: in a closed loop, those who wait at the slow pod
    would send it less and hide what a policy does.
    """
    bench.scale(3)
    slow = sorted(bench.pods())[0]
    uid = bench.pods()[slow]["metadata"]["uid"]
    found: dict[str, Waits] = {}
    with pod_cgroup.slowed(uid, SLOWED):
        bench.policy("LeastLoad")
        rate = BUSY * _capacity(bench)
        yield Figure("policies: requests sent", rate, "/s")
        for policy in ("LeastLoad", "RoundRobin"):
            bench.policy(policy)
            readings, stop = _readings(bench)
            found[policy] = _waits(bench, bench.xds, rate)
            stop()
            fair = {pod: (SLOWED if pod == slow else 1.0) for pod in bench.pods()}
            whole = sum(fair.values())
            shared = {pod: part / whole for pod, part in fair.items()}
            limit = 1.5 if policy == "LeastLoad" else None
            yield from _herding(policy, readings, shared, limit)
        found["ClusterIP"] = _waits(bench, bench.stage.target, rate)
    peers = {policy: waits.p99 for policy, waits in found.items()}
    least = found["LeastLoad"].p99
    yield Figure("LeastLoad: time to first token, p99", least, "s", peers=peers)
    yield Figure("LeastLoad / RoundRobin, p99", least / peers["RoundRobin"], "x", 0.6)
    yield Figure("LeastLoad / single ClusterIP channels, p99", least / peers["ClusterIP"], "x", 0.3)
    unanswered = {policy: float(waits.unanswered) for policy, waits in found.items()}
    least_unanswered = found["LeastLoad"].unanswered
    yield Figure("LeastLoad: requests not answered", least_unanswered, "", 0, peers=unanswered)


def _herding(
    policy: str, readings: list[Reading], fair: dict[str, float], limit: float | None
) -> Iterator[Figure]:
    """In the first seconds nobody has told clients a load, and calls go to pods in turn."""
    name = f"{policy}: most of its fair share that a pod got in 5 s"
    moved = (r.at for r in readings if any(r.requests[p] > readings[0].requests[p] for p in fair))
    begun = next(moved, math.inf)
    known = [reading for reading in readings if reading.at >= begun + UNKNOWN_SECONDS]
    chance = {"chance alone": shares.chance(known, fair, WINDOW_SECONDS)}
    yield Figure(name, shares.herding(known, fair, WINDOW_SECONDS), "x", limit, peers=chance)
    whole = shares.herding(readings, fair, WINDOW_SECONDS)
    yield Figure(f"{name}, from the very first call on", whole, "x")


@dataclass(frozen=True, slots=True)
class Waits:
    """What clients waited for first tokens."""

    p99: float
    """Seconds, of all requests: one without an answer waited as long as the slowest with one."""
    unanswered: int


def _capacity(bench: Bench) -> float:
    """Requests a second that the pods answer while each has more than it can run."""
    phase = f"closed:streams={CLIENTS},seconds={CAPACITY_SECONDS}"
    run = bench.load.play(bench.xds, "--phase", phase, *MIXED, seconds=CAPACITY_SECONDS + 60)
    return float(run.events[-1]["total"]["requests_per_second"])


def _waits(bench: Bench, address: str, rate: float) -> Waits:
    phase = f"poisson:rate={rate:.2f},seconds={POLICY_SECONDS}"
    clients = ("--clients", str(CLIENTS), "--timeout", str(PATIENCE_SECONDS))
    run = bench.load.play(address, "--phase", phase, *MIXED, *clients, seconds=POLICY_SECONDS + 200)
    total = run.events[-1]["total"]
    unanswered = total["sent"] - total["answered"] + total["unsent"]
    first = total["first_token_seconds"]
    is_rare = unanswered < total["sent"] / 100
    return Waits(float(first["p99" if is_rare else "max"]), unanswered)


def _readings(bench: Bench) -> tuple[list[Reading], Callable[[], None]]:
    """The pods' own counters, read each second until stopped."""
    addresses = {name: pod["status"]["podIP"] for name, pod in bench.pods().items()}
    readings: list[Reading] = []
    failures: list[OSError] = []
    is_over = threading.Event()

    def read() -> None:
        try:
            while not is_over.wait(1.0):
                found = {name: _received(address) for name, address in addresses.items()}
                readings.append(Reading(time.time(), found))
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def stop() -> None:
        is_over.set()
        thread.join(10)
        if failures:
            raise CommandError(f"a pod's counters could not be read: {failures[0]}")

    return readings, stop


def _received(address: str) -> int:
    with urllib.request.urlopen(f"http://{address}:9090/metrics", timeout=5) as page:
        for line in page.read().decode().splitlines():
            if line.startswith("llm_requests_received_total "):
                return int(float(line.split()[1]))
    return 0


def return_figures(bench: Bench) -> Iterator[Figure]:
    """A pod that was busy and is idle again gets its share back."""
    bench.scale(3)
    bench.policy("LeastLoad")
    name, pod = sorted(bench.pods().items())[0]
    alone = f"{pod['status']['podIP']}:50051"
    with bench.following(40) as buckets:
        shape = ("--prompt-tokens", "256", "--output-tokens", "32")
        busy_since = time.time()
        bench.load.play(alone, "--phase", "closed:streams=8,seconds=12", *shape, seconds=60)
        idle_since = time.time()
        time.sleep(10)
    busy = shares.merged(b for b in buckets if busy_since + 4 < b.at < busy_since + 12)
    yield Figure("busy pod: share of the calls while busy", 100 * busy.share([name]), "%")
    found = shares.reached(buckets, [name], 0.8 / 3, idle_since)
    if found is None:
        raise CommandError("the pod never got its share back")
    yield Figure("busy pod: idle again to its share", found, "s", 3)


def scale_figures(bench: Bench) -> Iterator[Figure]:
    """One pod becomes three."""
    bench.policy("RoundRobin")
    bench.scale(1)
    old = set(bench.pods())
    with bench.following(60) as buckets:
        story.scale(bench.stage, 3)
        ready = _ready_times(bench, old, 2)
        time.sleep(6)
    waits = []
    for name, at in ready.items():
        found = shares.reached(buckets, [name], 0.8 / 3, at)
        if found is None:
            raise CommandError(f"pod {name} never got its share")
        waits.append(found)
    yield Figure("new pod: ready to its share", max(waits), "s", 3)
    yield Figure("scaling up: calls that failed", sum(b.errors for b in buckets), "", 0)


def _ready_times(bench: Bench, old: set[str], number: int) -> dict[str, float]:
    found: dict[str, float] = {}
    deadline = time.time() + WAIT_SECONDS
    while len(found) < number and time.time() < deadline:
        for name in set(bench.pods()) - old - set(found):
            found[name] = time.time()
        time.sleep(0.05)
    if len(found) < number:
        raise TimeoutError(f"no {number} new pods")
    return found


def leave_figures(bench: Bench) -> Iterator[Figure]:
    """A pod that drains and one that is killed, under calls."""
    bench.policy("RoundRobin")
    bench.scale(3)
    name = sorted(bench.pods())[0]
    with bench.following(30) as buckets:
        time.sleep(3)
        began = time.time()
        bench.stage.kubectl("delete", "pod", name, "-n", bench.stage.namespace, "--wait=false")
        time.sleep(12)
    yield Figure("drained pod: last new call", shares.last_call(buckets, name, began), "s", 1)
    yield Figure("drained pod: calls that failed", sum(b.errors for b in buckets), "", 0)
    story.watch_until(bench.stage, story.is_scaled(3), _quiet, WAIT_SECONDS)
    pod = sorted(bench.pods().items())[0][1]
    with bench.following(20) as buckets:
        time.sleep(3)
        pod_cgroup.kill(pod["metadata"]["uid"], b"llm-runtime")
        time.sleep(8)
    yield Figure("killed pod: calls that failed", sum(b.errors for b in buckets), "", 0)
    story.watch_until(bench.stage, story.is_scaled(3), _quiet, WAIT_SECONDS)


PARTS = {
    "latency": latency_figures,
    "weights": weight_figures,
    "policies": policy_figures,
    "return": return_figures,
    "scale": scale_figures,
    "leave": leave_figures,
}
ALONE = {"control plane": control_plane.measure}
"""What needs no cluster, and is measured before there is one."""


BENCHMARK = Benchmark(name="traffic", about=__doc__, alone=ALONE, parts=PARTS, prepared=_prepared)

if __name__ == "__main__":
    BENCHMARK.main()
