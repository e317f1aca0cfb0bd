"""Figures of the path on a cluster: to the first answer, to the first child, to ready pods."""

import queue
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from demo import story
from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

OBJECTS = 20
_GOODBYE_SECONDS = 5
GROUP, VERSION, PLURAL = "llm-operator.dev", "v1alpha1", "llmdeployments"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as a watch showed it, and when (time.monotonic)."""

    item: Any
    at: float


def connect(stage: story.Stage) -> client.ApiClient:
    """A client of the cluster that the story plays on."""
    made: client.ApiClient = config.new_client_from_config(
        stage.kubectl.environment.get("KUBECONFIG")
    )
    return made


def first_answer(stage: story.Stage) -> str:
    """Installs, applies, waits and asks; returns the answer."""
    story.install(stage)
    story.serve_hub(stage)
    story.remove(stage)
    story.apply_minimal(stage)
    story.watch_until(stage, story.is_ready, print, 180)
    return story.ask(stage, story.QUESTIONS[0][1]).text


def apply_to_children_p95(stage: story.Stage, api: client.ApiClient) -> float:
    """95th percentile of the milliseconds from sending `create` to seeing the last child made.

    That is the PodDisruptionBudget; the export Job and the Services come before it.

    The Jobs ask for more CPU than any node has, so that no export runs beside the measurement.
    """
    objects, policies = client.CustomObjectsApi(api), client.PolicyV1Api(api)
    place = (GROUP, VERSION, stage.namespace, PLURAL)
    samples = []
    listing = policies.list_namespaced_pod_disruption_budget
    with watching(listing, stage.namespace, "") as events:
        for number in range(OBJECTS):
            sent = time.monotonic()
            objects.create_namespaced_custom_object(*place, _unschedulable(f"bench-{number}"))
            seen = _next(events, partial(_has_name, f"bench-{number}"))
            samples.append(1000 * (seen.at - sent))
    for number in range(OBJECTS):
        objects.delete_namespaced_custom_object(*place, f"bench-{number}")
    return statistics.quantiles(samples, n=20)[-1]


def resident_megabytes(stage: story.Stage) -> float:
    """The largest resident set of the operator's pods, in MB (10^6 bytes)."""
    read = "print(next(l.split()[1] for l in open('/proc/1/status') if l.startswith('VmRSS')))"
    selector = "app.kubernetes.io/component=operator"
    pods = stage.kubectl("get", "pods", "-n", story.SYSTEM_NAMESPACE, "-l", selector, "-o", "name")
    kibibytes = [
        int(stage.kubectl("exec", "-n", story.SYSTEM_NAMESPACE, pod, "--", "python", "-c", read))
        for pod in pods.split()
    ]
    return max(kibibytes) * 1024 / 1e6


def runtime_ready_seconds(stage: story.Stage, api: client.ApiClient) -> float:
    """Seconds from the start of the runtime container to the pod's readiness, in a watch's eyes."""
    label = f"llm-operator.dev/deployment={stage.name},app.kubernetes.io/component=runtime"
    core: Any = client.CoreV1Api(api)
    with watching(core.list_namespaced_pod, stage.namespace, label) as events:
        old = {pod.metadata.name for pod in core.list_namespaced_pod(stage.namespace).items}
        core.delete_collection_namespaced_pod(stage.namespace, label_selector=label)
        running = _next(events, lambda pod: pod.metadata.name not in old and _is_running(pod))
        name = running.item.metadata.name
        ready = _next(events, lambda pod: pod.metadata.name == name and _is_ready(pod))
    return ready.at - running.at


@contextmanager
def watching(list_call: Any, namespace: str, label: str) -> Iterator["queue.Queue[Seen]"]:
    """A queue that fills with what a watch shows until the block ends."""
    events: queue.Queue[Seen] = queue.Queue()
    watcher, is_over = watch.Watch(), threading.Event()

    def follow() -> None:
        stream = watcher.stream(list_call, namespace, label_selector=label, timeout_seconds=300)
        try:
            for event in stream:
                events.put(Seen(event["object"], time.monotonic()))
        except HTTPError:  # how a stream ends whose connection `stop` shuts
            if not is_over.is_set():
                raise

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield events
    finally:
        is_over.set()
        watcher.stop()
        thread.join(_GOODBYE_SECONDS)


def _next(events: "queue.Queue[Seen]", wanted: Any) -> Seen:
    """The next event whose object is wanted; raises queue.Empty after a minute of silence."""
    while True:
        seen = events.get(timeout=60)
        if wanted(seen.item):
            return seen


def _has_name(name: str, item: Any) -> bool:
    return bool(item.metadata.name == name)


def _unschedulable(name: str) -> dict[str, Any]:
    export = {"resources": {"requests": {"cpu": "512"}, "limits": {"cpu": "512"}}}
    source = {"uri": "hf://llm-operator/demo-model@main"}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "LLMDeployment",
        "metadata": {"name": name},
        "spec": {"model": {"source": source, "export": export}, "runtime": {"device": "cpu"}},
    }


def _is_running(pod: Any) -> bool:
    statuses = pod.status.container_statuses or []
    return any(status.state.running for status in statuses)


def _is_ready(pod: Any) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or [])
