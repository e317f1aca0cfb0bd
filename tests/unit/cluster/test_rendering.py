"""What the cluster's parts are told: files and command lines."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from llm_cluster import blueprint, containerd, kubeconfig, kubelet
from llm_cluster.blueprint import Blueprint
from llm_cluster.build import Programs
from llm_cluster.layout import REGISTRIES, Node, Registry, machine_layout
from llm_cluster.pins import GROUPS

LAYOUT = machine_layout()


def drawn(cache: str = "/home/a/.cache/llm-operator", pin: str = "p1") -> Blueprint:
    """The blueprint with programs in ``cache`` under the digest ``pin``."""
    folders = {spec.name: Path(cache) / "bin" / spec.name / pin for spec in GROUPS}
    return blueprint.draw(LAYOUT, Programs(folders), {"coredns": "kind: Deployment"})


@pytest.mark.parametrize("node", LAYOUT.nodes, ids=lambda node: node.name)
def test_containerd_keeps_everything_below_its_nodes_folders(node: Node) -> None:
    config = tomllib.loads(containerd.config(LAYOUT, node))
    runtime = config["plugins"]["io.containerd.cri.v1.runtime"]
    runc = runtime["containerd"]["runtimes"]["runc"]["options"]["Root"]
    shims = config["plugins"]["io.containerd.shim.v1.manager"]["socket_dir"]
    for path in (config["root"], config["state"], config["grpc"]["address"], runc, shims):
        assert Path(path).is_relative_to(node.run) or Path(path).is_relative_to(node.data)


@pytest.mark.parametrize("node", LAYOUT.nodes, ids=lambda node: node.name)
def test_shim_sockets_have_a_path_as_short_as_containerd_demands(node: Node) -> None:
    config = tomllib.loads(containerd.config(LAYOUT, node))
    assert len(config["plugins"]["io.containerd.shim.v1.manager"]["socket_dir"]) <= 42


def test_the_nodes_share_no_folder_no_address_and_no_cgroup() -> None:
    first, second = LAYOUT.nodes
    for name in ("name", "bridge", "address", "pod_network", "healthz_port", "run", "data"):
        assert getattr(first, name) != getattr(second, name)
    assert first.cgroup != second.cgroup


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.host)
def test_a_registry_is_pulled_over_plain_http_from_its_fixed_address(registry: Registry) -> None:
    files = containerd.registry_files(LAYOUT)
    path = f"{LAYOUT.config}/certs.d/{registry.host}/hosts.toml"
    hosts = tomllib.loads(files[path])
    assert hosts["host"] == {f"http://{registry.address}": {"capabilities": ["pull", "resolve"]}}


def test_a_pull_from_any_other_registry_ends_on_this_machine() -> None:
    files = containerd.registry_files(LAYOUT)
    default = tomllib.loads(files[f"{LAYOUT.config}/certs.d/_default/hosts.toml"])
    assert default["server"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("node", LAYOUT.nodes, ids=lambda node: node.name)
def test_a_kubelet_never_collects_images_that_were_imported_by_hand(node: Node) -> None:
    assert yaml.safe_load(kubelet.config(LAYOUT, node))["imageGCHighThresholdPercent"] == 100


@pytest.mark.parametrize("node", LAYOUT.nodes, ids=lambda node: node.name)
def test_pods_get_addresses_of_their_nodes_bridge(node: Node) -> None:
    bridge = json.loads(containerd.pod_network(node))["plugins"][0]
    assert bridge["bridge"] == node.bridge
    assert bridge["ipam"]["ranges"] == [[{"subnet": node.pod_network}]]


def test_a_part_of_the_cluster_logs_in_with_its_own_certificate() -> None:
    document = yaml.safe_load(kubeconfig.for_part(LAYOUT, "scheduler"))
    assert document["users"][0]["user"]["client-certificate"] == f"{LAYOUT.pki}/scheduler.crt"
    assert document["clusters"][0]["cluster"]["server"] == LAYOUT.api_url


def test_nothing_listens_on_all_addresses_of_the_machine() -> None:
    everything = [word for command in drawn().commands.values() for word in command.argv]
    assert not [word for word in everything if "0.0.0.0" in word]  # noqa: S104 - none may


def test_a_containerd_finds_the_shim_of_its_own_build_first() -> None:
    command = drawn().commands["containerd-node2"]
    assert command.path.split(":")[0] == str(Path(command.argv[0]).parent)


def test_the_fingerprint_is_the_same_for_every_user() -> None:
    here, there = "/home/a/.cache/llm-operator", "/home/b/.cache/llm-operator"
    first = blueprint.fingerprint(drawn(here), Path(here))
    assert blueprint.fingerprint(drawn(there), Path(there)) == first


def test_another_pin_or_another_manifest_gives_another_fingerprint() -> None:
    cache = Path("/home/a/.cache/llm-operator")
    base = drawn()
    changed = Blueprint(base.files, base.commands, {"coredns": "kind: DaemonSet"})
    prints = {blueprint.fingerprint(each, cache) for each in (base, changed, drawn(pin="p2"))}
    assert len(prints) == 3
