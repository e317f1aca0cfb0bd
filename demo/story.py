"""The steps of the story, from `helm install` to a rollout under load.

Each does one thing and returns what it saw. `demo.__main__` tells them to a person, `tests/e2e`
checks them; both drive the same cluster in the same way.
"""

import json
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import indent
from typing import Any

from demo.images import Images
from demo.kubectl import CommandError, Kubectl
from llm_client.bootstrap import DEFAULT_SERVER, bootstrap

ROOT = Path(__file__).resolve().parent.parent
SYSTEM_NAMESPACE = "llm-system"
DEMO_NAMESPACE = "demo"
OURS = {"llm-operator.dev/demo": "true"}
"""Labels of the namespaces that the demo made."""
CHART = ROOT / "charts" / "llm-operator"
MINIMAL = ROOT / "examples" / "minimal.yaml"
QUESTIONS = (
    ("chat", "What is the capital of Norway?", "The capital of Norway is Oslo."),
    ("translation", "translate to French: two hundred forty-seven", "deux cent quarante-sept"),
    (
        "summarization",
        "summarize: Emma bought 12 lamps. The train was late. The price was 45 euros.",
        "Emma bought 12 lamps for 45 euros.",
    ),
    (
        "code",
        "write python: a function that adds width and height",
        "def add(width, height):\n    return width + height",
    ),
)


Done = Callable[[dict[str, Any]], bool]
"""Says whether an LLMDeployment has got where it should."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story plays: a cluster, its images, a namespace and the LLMDeployment's name."""

    kubectl: Kubectl
    images: Images
    namespace: str = DEMO_NAMESPACE
    name: str = "demo"
    registry_address: str = ""
    """Fixed Service address of the chart's registry, where the nodes know it by that address."""

    @property
    def target(self) -> str:
        """The address an application in the cluster uses."""
        return f"{self.name}.{self.namespace}.svc:50051"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, and how long it took from the client's start."""

    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What the flowing requests counted."""

    answered: int
    failed: int
    errors: dict[str, int]


class NotOursError(Exception):
    """Something that the demo would change was made by somebody else."""


def install(stage: Stage) -> str:
    """Installs the chart and waits until its pods are ready; returns the version installed.

    Raises NotOursError where one of the namespaces is not the demo's: an operator that somebody
    installed there would get the demo's settings, and go with the demo.
    """
    for namespace in (SYSTEM_NAMESPACE, stage.namespace):
        if not is_ours(stage.kubectl, namespace):
            raise NotOursError(
                f"the namespace {namespace} was not made by the demo: it would change what is in "
                "it. Use another cluster, or remove the namespace first"
            )
    _namespace(stage, SYSTEM_NAMESPACE)
    # Helm installs a chart's CRDs once and never upgrades them.
    stage.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CHART / "crds"))
    stage.kubectl.run(
        "helm",
        "upgrade",
        "--install",
        "llm-operator",
        str(CHART),
        "--namespace",
        SYSTEM_NAMESPACE,
        *stage.images.helm_flags(),
        "--set",
        f"registry.clusterIP={stage.registry_address}",
        "--set",
        f"huggingFace.endpoint=http://hub.{stage.namespace}.svc:8080",
        "--wait",
        "--timeout",
        "3m",
        timeout=240,
    )
    releases = json.loads(stage.kubectl.run("helm", "list", "-n", SYSTEM_NAMESPACE, "-o", "json"))
    return str(releases[0]["chart"])


def serve_hub(stage: Stage) -> None:
    """Starts the demo's own hub, which holds the demo model, and the client's pod."""
    _namespace(stage, stage.namespace)
    place = ("-n", stage.namespace)
    flow = indent((ROOT / "demo" / "flow.py").read_text(), "    ")
    for name in ("hub.yaml", "client.yaml"):
        text = (ROOT / "demo" / "manifests" / name).read_text()
        manifest = Template(text).substitute(
            HUB_IMAGE=stage.images.hub,
            RUNTIME_IMAGE=stage.images.runtime,
            FLOW_SCRIPT=flow,
            XDS_BOOTSTRAP=bootstrap(DEFAULT_SERVER),
        )
        try:
            stage.kubectl.apply(manifest, *place)
        except CommandError:  # a pod of another version of the demo: pods cannot be changed
            stage.kubectl("delete", "pod", name.removesuffix(".yaml"), *place, "--now")
            stage.kubectl.apply(manifest, *place)
    stage.kubectl(
        "wait",
        "-n",
        stage.namespace,
        "pod/hub",
        "pod/client",
        "--for=condition=Ready",
        "--timeout=120s",
    )


def minimal(stage: Stage) -> str:
    """The six-line LLMDeployment under the stage's name."""
    return MINIMAL.read_text().replace("{name: demo}", f"{{name: {stage.name}}}")


def apply_minimal(stage: Stage) -> str:
    """Applies the six-line LLMDeployment; returns its text."""
    text = minimal(stage)
    stage.kubectl.apply(text, "-n", stage.namespace)
    return text


def watch_until(stage: Stage, done: Done, show: Callable[[str], None], seconds: float) -> float:
    """Shows each line of `kubectl get llmd -w` until `done` holds; returns the seconds it took.

    Raises TimeoutError, which names what the object waits for.
    """
    start = time.monotonic()
    with stage.kubectl.follow("get", "llmd", stage.name, "-n", stage.namespace, "-w") as lines:
        while time.monotonic() - start < seconds:
            with suppress(queue.Empty):  # nothing changed: the object is asked all the same
                show(lines.get(timeout=1))
            if done(deployment(stage)):
                return time.monotonic() - start
    raise TimeoutError(f"LLMDeployment {stage.name} waits after {seconds:.0f} s: {blocker(stage)}")


def deployment(stage: Stage) -> dict[str, Any]:
    """The LLMDeployment as it is now."""
    found: dict[str, Any] = stage.kubectl.get("llmd", stage.name, "-n", stage.namespace)
    return found


def is_ready(found: dict[str, Any]) -> bool:
    """Whether the object is Ready for its current generation with all replicas available."""
    status = found.get("status", {})
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    ready = condition(found, "Ready").get("status") == "True"
    settled = condition(found, "Reconciling").get("status") != "True"
    return current and ready and settled


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of the object, or an empty dict."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def blocker(stage: Stage) -> str:
    """Reason and message of the Ready condition."""
    ready = condition(deployment(stage), "Ready")
    return f"{ready.get('reason')}: {ready.get('message')}"


def ask(stage: Stage, prompt: str, show: Callable[[str], None] = lambda _: None) -> Answer:
    """Asks one question from the client's pod over the Service's DNS name.

    `show` gets each character when it arrives.
    """
    start = time.monotonic()
    process = stage.kubectl.start(
        "exec", "-n", stage.namespace, "client", "--",
        "llm-runtime", "chat", stage.target, "--prompt", prompt,
    )  # fmt: skip
    text = ""
    while process.stdout and (character := process.stdout.read(1)):
        text += character
        show(character)
    process.communicate()
    if process.returncode != 0:
        raise CommandError(f"llm-runtime chat ended with exit code {process.returncode}")
    return Answer(text.strip("\n"), time.monotonic() - start)


def scale(stage: Stage, replicas: int) -> None:
    """What a user does: `kubectl scale`."""
    stage.kubectl("scale", "-n", stage.namespace, f"llmd/{stage.name}", f"--replicas={replicas}")


def is_scaled(replicas: int) -> Done:
    """Whether as many replicas as wished are ready, and no other one is left: a pod that drains
    still has its place on a node."""

    def done(found: dict[str, Any]) -> bool:
        counts = (found["status"].get("readyReplicas"), found["status"].get("replicas"))
        return is_ready(found) and counts == (replicas, replicas)

    return done


def serving_nodes(stage: Stage) -> tuple[str, ...]:
    """The nodes of the ready runtime pods, sorted."""
    ready = filter(is_pod_ready, runtime_pods(stage))
    return tuple(sorted(pod["spec"]["nodeName"] for pod in ready))


def runtime_pods(stage: Stage) -> list[dict[str, Any]]:
    """The LLMDeployment's pods that serve, start or end."""
    labels = f"llm-operator.dev/deployment={stage.name},app.kubernetes.io/component=runtime"
    found: dict[str, Any] = stage.kubectl.get("pods", "-n", stage.namespace, "-l", labels)
    return list(found["items"])


def is_pod_ready(pod: dict[str, Any]) -> bool:
    """Whether calls are sent to it."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def change_spec(stage: Stage) -> str:
    """Changes a field that reaches the pod, which makes a new revision; returns the one before."""
    found = deployment(stage)
    before = str(found["status"]["currentRevision"])
    sequences = found["spec"]["runtime"].get("maxConcurrentSequences", 5) + 1
    patch_spec(stage, {"runtime": {"maxConcurrentSequences": sequences}})
    return before


def patch_spec(stage: Stage, spec: dict[str, Any]) -> None:
    """What a user does: `kubectl patch` with some fields of the spec; None takes one away."""
    patch = json.dumps({"spec": spec})
    stage.kubectl("patch", "-n", stage.namespace, f"llmd/{stage.name}", "--type=merge", "-p", patch)


def rolled_out(before: str) -> Done:
    """Whether a revision other than `before` is current, stable and ready."""

    def done(found: dict[str, Any]) -> bool:
        status = found["status"]
        moved = status.get("currentRevision") not in (None, before)
        return (
            moved and status.get("stableRevision") == status["currentRevision"] and is_ready(found)
        )

    return done


def wait_until_gone(stage: Stage, revision: str) -> None:
    """Returns when the last pod of a revision has ended: its drain is over, too."""
    label = f"llm-operator.dev/deployment={stage.name},llm-operator.dev/revision={revision}"
    pods = ("pods", "-n", stage.namespace, "-l", label)
    if stage.kubectl("get", *pods, "-o", "name"):
        stage.kubectl("wait", *pods, "--for=delete", "--timeout=90s")


class FlowingRequests:
    """Requests from the client's pod that flow while something else happens.

    by_name: over xDS, as llm_client does for an LLMDeployment's name; else over the Service.
    """

    def __init__(self, stage: Stage, seconds: int, *, by_name: bool = False) -> None:
        whom = (stage.name, "--namespace", stage.namespace) if by_name else (stage.target,)
        self._process = stage.kubectl.start(
            "exec", "-i", "-n", stage.namespace, "client", "--",
            "python", "/scripts/flow.py", *whom, "--seconds", str(seconds),
        )  # fmt: skip

    def stop(self) -> Flow:
        """Lets the last requests finish and returns the counts."""
        output, _ = self._process.communicate("", timeout=60)
        found = json.loads(output.strip().splitlines()[-1])
        return Flow(found["answered"], found["failed"], found["errors"])


def remove(stage: Stage) -> None:
    """Deletes the LLMDeployment; the garbage collector takes its children."""
    stage.kubectl("delete", "llmd", stage.name, "-n", stage.namespace, "--ignore-not-found")


def is_ours(kubectl: Kubectl, namespace: str) -> bool:
    """Whether the namespace was made by the demo, or is not there."""
    found = kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "json")
    labels = json.loads(found)["metadata"].get("labels", {}) if found else OURS
    return all(labels.get(name) == value for name, value in OURS.items())


def _namespace(stage: Stage, name: str) -> None:
    """Creates a namespace in which only restricted pods may run."""
    stage.kubectl.apply(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": name,
                    "labels": {"pod-security.kubernetes.io/enforce": "restricted", **OURS},
                },
            }
        )
    )
