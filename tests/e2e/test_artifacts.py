"""Where a model may come from, and how its artifact reaches the pods."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from demo import story

from support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

MODEL = Path(__file__).resolve().parents[2] / "examples" / "demo-model" / "model"
PACK = """
import io, pathlib, tarfile
root = pathlib.Path('/models/llm-operator/demo-model')
with tarfile.open('/tmp/model.tar', 'w', format=tarfile.USTAR_FORMAT) as archive:
    for path in sorted(root.iterdir()):
        if path.is_file():
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
"""
COPY = "import shutil; shutil.copytree('/models/llm-operator/demo-model', '/data/model')"
SERVE = f"""{PACK}
import http.server, os
os.chdir('/tmp')
http.server.test(http.server.SimpleHTTPRequestHandler, port=8080)
"""


def packed_digest() -> str:
    """sha256 of the archive that PACK makes of the demo model."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(MODEL.iterdir()):
            if path.is_file():
                entry = tarfile.TarInfo(path.name)
                entry.size = path.stat().st_size
                archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def python_pod(stage: story.Stage, name: str, code: str, claim: str | None) -> dict[str, object]:
    """A restricted pod that runs Python code with the demo model at hand."""
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[dict[str, object]] = [{"name": "tmp", "emptyDir": {}}]
    if claim:
        mounts.append({"name": "data", "mountPath": "/data"})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    container = {
        "name": "main",
        "image": stage.images.hub,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", code],
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    identity = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": identity,
            "containers": [container],
            "volumes": volumes,
        },
    }


def manifest(stage: story.Stage, model: Mapping[str, object]) -> str:
    """An LLMDeployment whose model is `model`."""
    limits = {"cpu": "500m", "memory": "512Mi"}
    return json.dumps(
        {
            "apiVersion": "llm-operator.dev/v1alpha1",
            "kind": "LLMDeployment",
            "metadata": {"name": stage.name},
            "spec": {
                "model": model,
                "runtime": {"device": "cpu", "resources": {"limits": limits}},
            },
        }
    )


def answers_exactly(stage: story.Stage) -> bool:
    """Whether the model, once Ready, answers a question as it should."""
    story.watch_until(stage, story.is_ready, print, 180)
    _, question, expected = story.QUESTIONS[0]
    return story.ask(stage, question).text == expected


@pytest.fixture
def filled_claim(stage: story.Stage) -> Iterator[str]:
    """A volume of the user's own that holds the demo model in the folder `model`."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": stage.name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "64Mi"}},
        },
    }
    pod = f"fill-{stage.name}"
    stage.kubectl.apply(json.dumps(claim), "-n", stage.namespace)
    stage.kubectl.apply(json.dumps(python_pod(stage, pod, COPY, stage.name)), "-n", stage.namespace)
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    stage.kubectl("wait", f"pod/{pod}", phase, "-n", stage.namespace, "--timeout=120s")
    yield stage.name
    story.remove(stage)
    stage.kubectl(
        "delete", f"pod/{pod}", f"pvc/{stage.name}", "-n", stage.namespace, "--wait=false"
    )


@pytest.fixture
def archive_url(stage: story.Stage) -> Iterator[str]:
    """Address and digest of an archive of the demo model behind plain HTTP."""
    name = f"files-{stage.name}"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"test": name}, "ports": [{"port": 8080}]},
    }
    stage.kubectl.apply(json.dumps(service), "-n", stage.namespace)
    stage.kubectl.apply(json.dumps(python_pod(stage, name, SERVE, None)), "-n", stage.namespace)
    stage.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "-n", stage.namespace)
    yield f"http://{name}.{stage.namespace}.svc:8080/model.tar"
    stage.kubectl("delete", f"pod/{name}", f"service/{name}", "-n", stage.namespace)


def test_a_volume_of_the_users_own_is_a_source(stage: story.Stage, filled_claim: str) -> None:
    """pvc://claim/path is mounted read-only into the export Job."""
    uri = f"pvc://{filled_claim}/model"
    stage.kubectl.apply(manifest(stage, {"source": {"uri": uri}}), "-n", stage.namespace)
    assert answers_exactly(stage)


def test_an_archive_behind_http_with_its_digest_is_a_source(
    stage: story.Stage, archive_url: str
) -> None:
    """The digest in the address pins what was meant."""
    uri = f"{archive_url}#sha256={packed_digest()}"
    stage.kubectl.apply(manifest(stage, {"source": {"uri": uri}}), "-n", stage.namespace)
    assert answers_exactly(stage)


def test_an_archive_with_another_digest_is_refused_with_its_reason(
    stage: story.Stage, archive_url: str
) -> None:
    """ModelReady names ChecksumMismatch and no artifact appears."""
    uri = f"{archive_url}#sha256={'0' * 64}"
    stage.kubectl.apply(manifest(stage, {"source": {"uri": uri}}), "-n", stage.namespace)
    until(lambda: model_reason(stage) == "ChecksumMismatch", seconds=90, what="ChecksumMismatch")
    assert "artifactDigest" not in story.deployment(stage)["status"].get("model", {})


def test_an_unreachable_hub_is_named_and_retried(stage: story.Stage) -> None:
    """SourceUnreachable says which host, and time may heal it."""
    source = {
        "huggingFace": {
            "repo": "llm-operator/demo-model",
            "revision": "main",
            "endpoint": f"http://nowhere.{stage.namespace}.svc:8080",
        }
    }
    stage.kubectl.apply(manifest(stage, {"source": source}), "-n", stage.namespace)
    until(lambda: model_reason(stage) == "SourceUnreachable", seconds=120, what="SourceUnreachable")
    message = story.condition(story.deployment(stage), "ModelReady")["message"]
    assert f"nowhere.{stage.namespace}.svc" in message


def test_the_kubelet_can_mount_the_artifact_as_an_image(stage: story.Stage) -> None:
    """artifact.mode ImageVolume needs no init container and shares the files of a node."""
    source = {"source": {"uri": "hf://llm-operator/demo-model@main"}}
    model = {**source, "artifact": {"mode": "ImageVolume"}}
    stage.kubectl.apply(manifest(stage, model), "-n", stage.namespace)
    assert answers_exactly(stage)


def model_reason(stage: story.Stage) -> str | None:
    """The reason of ModelReady."""
    reason: str | None = story.condition(story.deployment(stage), "ModelReady").get("reason")
    return reason
