"""The load generator as a pod of the cluster, and runs of it that are driven from here."""

import base64
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.load.bundle import archive

from demo.kubectl import CommandError, Kubectl
from llm_client.bootstrap import DEFAULT_SERVER, TEXT, bootstrap

CONTAINER = "load"
_BUNDLE = "load.pyz"


def manifest(name: str, image: str) -> str:
    """A ConfigMap with the bundle and a pod that mounts it; `image` holds Python and llm_client."""
    bundle = base64.b64encode(archive()).decode()
    scripts = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "binaryData": {_BUNDLE: bundle},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": CONTAINER}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(image)],
            "volumes": [{"name": "load", "configMap": {"name": name}}],
        },
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [scripts, pod]})


def _container(image: str) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import signal; signal.pause()"],
        "env": [{"name": TEXT, "value": bootstrap(DEFAULT_SERVER)}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "load", "mountPath": "/load", "readOnly": True}],
    }


@dataclass(slots=True)
class Run:
    """A run of the generator in the pod, known by the lines it prints.

    events: what was read so far, oldest first; each has `event` and `at`, seconds since the epoch
    by the node's clock.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    _arrived: "queue.Queue[dict[str, Any] | None]" = field(default_factory=queue.Queue)

    def follow(self, lines: Iterator[str]) -> None:
        """Takes lines in until they end."""
        for line in lines:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def next(self, event: str, seconds: float = 60) -> dict[str, Any]:
        """The next such event; raises CommandError when none comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                found = self._arrived.get(timeout=left)
            except queue.Empty:
                break
            if found is None:
                raise CommandError(f"the load generator ended without a {event}")
            self.events.append(found)
            if found["event"] == event:
                return found
        raise CommandError(f"the load generator told no {event} within {seconds:.0f} s")


@dataclass(frozen=True, slots=True)
class LoadPod:
    """Where the generator runs."""

    kubectl: Kubectl
    namespace: str
    name: str = "load"

    def start(self, image: str) -> None:
        """Makes the pod anew and waits until it is ready."""
        place = ("-n", self.namespace)
        self.kubectl("delete", "pod", self.name, *place, "--ignore-not-found", "--now")
        self.kubectl.apply(manifest(self.name, image), *place)
        self.kubectl("wait", *place, f"pod/{self.name}", "--for=condition=Ready", "--timeout=60s")

    def remove(self) -> None:
        """Deletes the pod and its scripts."""
        names = (f"pod/{self.name}", f"configmap/{self.name}")
        self.kubectl("delete", *names, "-n", self.namespace, "--ignore-not-found", "--now")

    @contextmanager
    def running(self, *arguments: str) -> Iterator[Run]:
        """Sends load while the block runs; then answers may end, and the report is the last event.

        arguments: of `python -m bench.load`, the target first.
        """
        process = self.kubectl.start(
            "exec", "-i", "-n", self.namespace, self.name, "--", "python", f"/load/{_BUNDLE}",
            *arguments, "--output", "lines", "--stop-at-eof",
        )  # fmt: skip
        run = Run()
        lines = iter(process.stdout or ())
        reader = threading.Thread(target=run.follow, args=(lines,), daemon=True)
        reader.start()
        try:
            yield run
            if process.stdin:
                process.stdin.close()
            if not (run.events and run.events[-1]["event"] == "report"):
                run.next("report", seconds=400)
        finally:
            process.kill()
            process.wait(10)
            reader.join(10)
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()

    def play(self, *arguments: str, seconds: float) -> Run:
        """Lets a run go to its own end; raises CommandError when that takes longer."""
        with self.running(*arguments) as run:
            run.next("report", seconds)
        return run
