"""What everyone who uses the local cluster relies on, tried on the real thing."""

import json
from pathlib import Path

import pytest

from contract.cluster.pods import BUSYBOX, RunPod, document
from llm_cluster import launch
from llm_cluster.command import run
from llm_cluster.layout import REGISTRIES
from llm_cluster.record import Options
from llm_cluster.site import Site
from llm_cluster.up import up

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]
NODES = ["node1", "node2"]


def serve(site: Site, namespace: str, node: str) -> None:
    """A Service ``web`` on port 80 whose only pod, on ``node``, says hello."""
    script = "mkdir /tmp/w; echo hello > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"
    main = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": [main]}
    pod = document("Pod", "web", namespace, {**spec, "terminationGracePeriodSeconds": 0})
    pod["metadata"] = {"name": "web", "namespace": namespace, "labels": {"app": "web"}}
    ports = [{"port": 80, "targetPort": 8080}]
    service = document("Service", "web", namespace, {"selector": {"app": "web"}, "ports": ports})
    site.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, service]}))
    site.kubectl("-n", namespace, "wait", "pod/web", "--for=condition=Ready", "--timeout=60s")


def test_both_nodes_are_ready(site: Site) -> None:
    assert sorted(name for name in site.kubectl.ready_nodes() if name in NODES) == NODES


@pytest.mark.parametrize("server", NODES)
def test_pods_of_either_node_reach_a_service_by_its_name(
    site: Site, namespace: str, run_pod: RunPod, server: str
) -> None:
    serve(site, namespace, server)
    for client in NODES:
        assert run_pod(client, f"wget -qO- http://web.{namespace}.svc") == "hello\n"


@pytest.mark.parametrize("node", NODES)
def test_a_claim_becomes_a_volume_that_a_user_without_privileges_can_write(
    site: Site, namespace: str, run_pod: RunPod, node: str
) -> None:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    claim = document("PersistentVolumeClaim", "data", namespace, wanted)
    site.kubectl.apply(json.dumps(claim))
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    user = {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001}
    said = run_pod(
        node,
        "echo kept > /data/file && cat /data/file",
        {"volumes": [volume], "securityContext": user},
        {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    )
    assert said == "kept\n"


@pytest.mark.parametrize("node", NODES)
def test_an_image_in_the_registry_is_pulled_and_mounted_by_name(
    site: Site, namespace: str, run_pod: RunPod, node: str
) -> None:
    registry = REGISTRIES[0]
    name = f"{namespace}/busybox:1"
    socket = site.layout.nodes[0].containerd_socket
    node1: list[str | Path] = [site.ctr, "--address", socket, "--namespace", "k8s.io"]
    run([*node1, "images", "push", "--plain-http", f"{registry.address}/{name}", BUSYBOX])
    reference = f"{registry.host}/{name}"
    volume = {"name": "model", "image": {"reference": reference, "pullPolicy": "Always"}}
    said = run_pod(
        node,
        "test -x /model/bin/busybox && ! touch /model/new && echo mounted read-only",
        {"volumes": [volume]},
        {
            "image": reference,
            "imagePullPolicy": "Always",
            "volumeMounts": [{"name": "model", "mountPath": "/model"}],
        },
    )
    assert "mounted read-only" in said
    still = run_pod(node, "echo still usable", container={"imagePullPolicy": "Never"})
    assert still == "still usable\n"


@pytest.mark.parametrize("node", NODES)
def test_no_packet_of_a_pod_leaves_the_machine(run_pod: RunPod, node: str) -> None:
    """203.0.113.0/24 is for documentation: nobody would answer, but our own rule refuses."""
    said = run_pod(node, "nc -w 20 203.0.113.1 80 2>&1 || echo refused with $?")
    assert "Connection refused" in said


def test_starting_it_again_shares_the_running_cluster(site: Site) -> None:
    before = launch.recorded(site.layout)
    up(site, Options())
    assert launch.recorded(site.layout) == before
